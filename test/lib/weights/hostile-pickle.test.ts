// Pickles made to harm, to be read in two ways, or to cost more than they weigh: each is refused with
// E_WEIGHTS and the reason, at once, and nothing but the file is opened.

import { describe, expect, test } from 'vitest'
import { beside, type Case, namesIn, one, refused, repeat } from '../../support/hostile-weights.js'
import {
  bytesOf,
  call,
  dict,
  EMPTY_DICT,
  EMPTY_LIST,
  EMPTY_TUPLE,
  global,
  integer,
  list,
  long,
  MARK,
  NONE,
  pickle,
  REDUCE,
  tensor,
  text,
  torchZip,
  tuple,
} from '../../support/pickle-writer.js'

const pickles: Case[] = [
  ['1 os.system', beside(call('os', 'system', text('id'))), /call os\.system.*attack/],
  ['1 posix.system', beside(call('posix', 'system', text('id'))), /posix\.system/],
  ['1 eval', beside(call('builtins', 'eval', text('1'))), /builtins\.eval/],
  ['1 eval of Python 2', beside(call('__builtin__', 'eval', text('1'))), /__builtin__\.eval/],
  ['1 in a wrapper', pickle(dict(text('args'), call('nt', 'system'))), /nt\.system/],
  ['1 as NEWOBJ', beside(global('subprocess', 'Popen'), EMPTY_TUPLE, 0x81), /subprocess\.Popen/],
  ['2 an unknown in the weights', beside(call('a.b', 'C')), /"x" is a a\.b\.C/],
  ['2 a call of what a call gave', beside(call('a', 'b'), EMPTY_TUPLE, REDUCE), /a call of a a\.b/],
  ['3 dots', beside(global('torch._utils', '__class__.__base__')), /name that Python/],
  ['3 an empty module', beside('c\nsystem\n'), /name that Python/],
  ['3 a space', beside(global('os system', 'x')), /name that Python/],
  ['4 STACK_GLOBAL', beside(text('os'), text('system'), 0x93), /opcode 0x93/],
  ['4 INST', beside(MARK, 'ios\nsystem\n'), /opcode 0x69/],
  ['4 OBJ', beside(MARK, global('os', 'system'), 'o'), /opcode 0x6f/],
  ['4 EXT1', beside(0x82, 1), /opcode 0x82/],
  ['4 EXT2', beside(0x83, 1, 0), /opcode 0x83/],
  ['4 EXT4', beside(0x84, 1, 0, 0, 0), /opcode 0x84/],
  ['4 PERSID', beside('Pstorage\n'), /opcode 0x50/],
  ['4 NEXT_BUFFER', beside(0x97), /opcode 0x97/],
  ['4 BYTEARRAY8', beside(0x96, repeat(0xff, 8)), /opcode 0x96/],
  [
    '5 protocol 4',
    bytesOf(0x80, 4, 0x95, repeat(0, 8), 'N.'),
    /protocol 4.*without pickle_protocol/,
  ],
  ['5 protocol 0', bytesOf('(dp0\n.'), /no PROTO/],
  ['5 a second PROTO', beside(0x80, 2, 'N'), /opcode 0x80/],
  ['5 bytes after STOP', bytesOf(one({}), 'N'), /bytes after its end/],
  ['6 a memo index of 2^31', beside('N', 'r', repeat(0xff, 3), 0x7f), /memo index 2147483647/],
  ['6 an unset index', beside('h', 9), /memo index 9, which was not set/],
  [
    '6 two million puts',
    beside('N', repeat(bytesOf('q', 1), 1_100_000)),
    /more than 1000000 opcodes/,
  ],
  [
    '7 tuples that double',
    beside(EMPTY_TUPLE, ...Array.from({ length: 30 }, (_, i) => bytesOf('q', i, 'h', i, 0x86))),
    /"x" is a tuple/,
  ],
  [
    '7 lists that double',
    beside(
      EMPTY_LIST,
      ...Array.from({ length: 30 }, (_, i) =>
        bytesOf('q', i, EMPTY_LIST, MARK, 'h', i, 'h', i, 'e'),
      ),
      ...Array.from({ length: 30 }, () => 0x86),
    ),
    /"x" is a tuple|values from/,
  ],
  ['8 a list in itself', beside(EMPTY_LIST, 'q', 0, 'h', 0, 'a'), /"x" is a list/],
  [
    '8 a dict in itself',
    pickle(EMPTY_DICT, 'q', 0, text('state_dict'), 'h', 0, 's'),
    /without a dict of tensors/,
  ],
  ['9 100,000 nested tuples', beside('N', repeat(0x85, 100_000)), /"x" is a tuple/],
  ['10 a text past the end', beside('X', repeat(0xff, 4)), /ends early/],
  ['10 a LONG1 past the end', bytesOf(0x80, 2, 0x8a, 200, 1), /ends early/],
  ['10 LONG4 of 4 kB', beside(0x8b, 0, 16, 0, 0, repeat(1, 4096)), /opcode 0x8b/],
  ['10 a size of 255 bytes', one({ shape: [long(2n ** 2000n, 255)] }), /not an integer of 0/],
  ['10 a size of 2^64', one({ shape: [long(2n ** 64n)] }), /18446744073709551616, not an integer/],
  ['10 an offset of 2^53', one({ offset: long(2n ** 53n) }), /9007199254740992, not an integer/],
  [
    '11 SETITEM on a tensor',
    pickle(dict(text('w'), tensor(), text('x'), tensor(), 'N', 'N', 's')),
    /SETITEM on a tensor/,
  ],
  ['11 SETITEMS on a tuple', beside(EMPTY_TUPLE, MARK, 'N', 'N', 'u'), /SETITEM on a tuple/],
  ['11 APPEND to a dict', beside(EMPTY_DICT, 'N', 'a'), /APPEND to a dict/],
  ['11 APPENDS to a storage', beside(tensor(), MARK, 'N', 'e'), /APPEND to a tensor/],
  ['11 BUILD on a tensor', beside(tensor(), EMPTY_DICT, 'b'), /BUILD on a tensor/],
  ['11 BUILD on a plain dict', beside(EMPTY_DICT, EMPTY_DICT, 'b'), /BUILD on a dict/],
  ['12 odd items', pickle(dict(text('w'))), /a key without a value/],
  ['12 below a MARK', pickle(text('w'), MARK, 0x85), /empty stack/],
  ['12 no MARK', pickle(NONE, 'u'), /no MARK/],
  ['12 no STOP', bytesOf(0x80, 2, dict(text('w'), tensor())), /ends early/],
  ['12 values left', pickle(NONE, NONE), /values left/],
  ['12 nothing', Buffer.alloc(0), /ends early/],
  ['12 a name without an end', bytesOf(0x80, 2, 'cos'), /ends inside a name/],
  ['13 an empty name', pickle(dict(text(''), tensor())), /"" is no name/],
  ['13 a key twice', pickle(dict(text('w'), tensor(), text('w'), tensor())), /the key "w" twice/],
  ['13 a number for a name', pickle(dict(integer(1), tensor())), /"1" is no name/],
  ['13 text that is not UTF-8', pickle(dict('X', 1, 0, 0, 0, 0xff, tensor())), /not UTF-8/],
  [
    '14 fewer numbers than bytes',
    one({ count: integer(2), shape: [integer(2)] }),
    /12 bytes, expected 8/,
  ],
  ['14 more numbers than bytes', one({ count: integer(4) }), /12 bytes, expected 16/],
  ['14 another class', one({ kind: 'DoubleStorage' }), /12 bytes, expected 24/],
  ['14 a class that is none', one({ kind: 'FileStorage' }), /class that torch does not have/],
  [
    '14 two lengths',
    pickle(dict(text('a'), tensor(), text('b'), tensor({ count: integer(2) }))),
    /two lengths or classes/,
  ],
  [
    '14 two classes',
    pickle(dict(text('a'), tensor(), text('b'), tensor({ kind: 'IntStorage' }))),
    /two lengths or classes/,
  ],
  ['15 past the storage', one({ shape: [integer(4)] }), /ends at byte 16, its storage at 12/],
  ['15 an offset past it', one({ offset: integer(1) }), /ends at byte 16/],
  ['15 a stride past it', one({ strides: [integer(2)] }), /ends at byte 20/],
  ['15 a negative size', one({ shape: [integer(-1)] }), /size is -1/],
  ['15 a negative stride', one({ strides: [integer(-1)] }), /stride is -1/],
  ['15 a negative offset', one({ offset: integer(-1) }), /offset is -1/],
  [
    '15 nine dimensions',
    one({ shape: Array(9).fill(integer(1)), strides: Array(9).fill(integer(1)) }),
    /9 sizes/,
  ],
  [
    '15 more strides than sizes',
    one({ strides: [integer(1), integer(1)] }),
    /1 sizes and 2 strides/,
  ],
  [
    '15 a product past 2^53',
    one({ shape: Array(3).fill(long(2n ** 30n)), strides: Array(3).fill(integer(0)) }),
    /past 2\^53/,
  ],
  [
    '15 expanded to 2^40',
    one({ shape: [long(2n ** 40n)], strides: [integer(0)] }),
    /past all measure/,
  ],
  ['16 a record that is missing', one({ key: '1' }), /storage "1" are not in it/],
  ['16 a key with a path', one({ key: '../data.pkl' }), /are not in it/],
  [
    '26 sparse',
    beside(call('torch._utils', '_rebuild_sparse_tensor')),
    /"x" is a sparse tensor: call to_dense/,
  ],
  ['26 quantised', beside(call('torch._utils', '_rebuild_qtensor')), /"x" is a quantised/],
  ['26 meta', beside(call('torch._utils', '_rebuild_meta_tensor_no_storage')), /"x" is a meta/],
  [
    '26 a subclass',
    beside(call('torch._tensor', '_rebuild_from_type_v2')),
    /"x" is a tensor subclass/,
  ],
  [
    '26 complex',
    pickle(
      dict(
        text('w'),
        tensor(),
        text('x'),
        tensor({ key: '9', kind: 'ComplexFloatStorage', count: integer(0), shape: [integer(0)] }),
      ),
    ),
    /"9" are not in it/,
  ],
  ['26 conjugated', one({ more: [dict(text('conj'), 0x88)] }), /conjugated/],
  [
    'whole model',
    pickle(global('torch.nn.modules.container', 'Sequential'), EMPTY_TUPLE, 0x81, EMPTY_DICT, 'b'),
    /whole model.*state_dict\(\)/,
  ],
  [
    'whole model in a checkpoint',
    pickle(dict(text('model'), global('torch.nn.modules.linear', 'Linear'), EMPTY_TUPLE, 0x81)),
    /"model" is a whole model/,
  ],
  ['a list of tensors', pickle(list(tensor())), /a saved list/],
  [
    'two sets of weights',
    pickle(
      dict(text('model'), dict(text('w'), tensor()), text('model_ema'), dict(text('w'), tensor())),
    ),
    /several sets of weights:\n {2}"model"\n {2}"model_ema".*--key/s,
  ],
  [
    '100 strange entries',
    pickle(
      dict(
        text('w'),
        tensor(),
        ...Array.from({ length: 100 }, (_, i) => bytesOf(text(`n${i}`), NONE)),
      ),
    ),
    /and 80 more/,
  ],
  ['no storage', pickle(dict(text('w'), tuple(text('storage')), 'Q')), /no storage of torch/],
]

describe('in the pickle', () => {
  test.each(pickles)('%s', (_, data, says) => refused(torchZip(data), says))

  test('names of JavaScript are names like any other', async () => {
    const keys = ['__proto__', 'constructor', 'toString']
    const data = pickle(dict(...keys.flatMap((key) => [text(key), tensor()])))
    expect(await namesIn(torchZip(data))).toEqual(keys)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('what lies beside the weights is passed over, whatever it is', async () => {
    const odd = call('some.library', 'Thing', list(long(2n ** 60n)))
    const weights = dict(text('w'), tensor())
    const data = dict(
      ...[text('state_dict'), weights, text('epoch'), integer(3)],
      ...[text('args'), bytesOf(odd, dict(integer(1), NONE), 'b')],
      ...[text('history'), bytesOf(call('collections', 'defaultdict'), MARK, text('a'), NONE, 'u')],
      ...[text('rng'), tensor()],
    )
    expect(await namesIn(torchZip(pickle(data)))).toEqual(['w'])
  })
})

test('21 a pickle of more than 64 MiB', () => {
  const long = bytesOf(0x80, 2, 'X', 0, 0, 0, 4, Buffer.alloc(2 ** 26), '0N.')
  return refused(torchZip(long), /data\.pkl is too long/)
})
