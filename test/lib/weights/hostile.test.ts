// Files made to harm, to be read in two ways, or to cost more than they weigh: each is refused with
// E_WEIGHTS and the reason, at once, and nothing but the file is opened.

import { readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { readWeights } from '../../../lib/weights/read.js'
import {
  bytesOf,
  call,
  dict,
  EMPTY_DICT,
  EMPTY_LIST,
  EMPTY_TUPLE,
  floats,
  global,
  integer,
  list,
  long,
  MARK,
  NONE,
  pickle,
  REDUCE,
  type TensorText,
  tensor,
  text,
  torchLegacy,
  torchZip,
  tuple,
} from '../../support/pickle-writer.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { pthFolder } from '../../support/torch-files.js'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  return { ...real, open: vi.fn(real.open) }
})

const folder = temporaryFolder()
const path = join(folder, 'given.pth')
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  vi.mocked(open).mockClear()
})

const names = () => readWeights(path, {}, async ({ tensors }) => tensors.map(({ name }) => name))

/** The message is of one line for each of at most 20 things, and begins with the file. */
async function refused(file: Buffer, says: RegExp): Promise<void> {
  writeFileSync(path, file)
  const begin = process.cpuUsage()
  const error = await names().then(
    (found) => expect.fail(`it was read: ${found}`),
    (error: Error & { code?: string }) => error,
  )
  expect({ name: error.name, code: error.code, message: error.message }).toEqual({
    name: 'McLossError',
    code: 'E_WEIGHTS',
    message: expect.stringMatching(says),
  })
  expect(error.message.startsWith(`${path} is `)).toBe(true)
  expect(error.message.length).toBeLessThan(3000)
  const { user, system } = process.cpuUsage(begin) // of this process alone, however busy the machine is
  expect(user + system).toBeLessThan(1_000_000)
  expect(vi.mocked(open).mock.calls.map(([opened]) => opened)).toEqual([path])
}

/** A sound tensor, and something beside it. */
const beside = (...body: (Buffer | number | string)[]) =>
  pickle(dict(text('w'), tensor(), text('x'), ...body))
const one = (given: TensorText) => pickle(dict(text('w'), tensor(given)))
const repeat = (piece: Buffer | number, times: number) => {
  const bytes = bytesOf(piece)
  return Buffer.alloc(times * bytes.length, bytes)
}

type Case = [name: string, data: Buffer, says: RegExp]

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
    writeFileSync(path, torchZip(pickle(dict(...keys.flatMap((key) => [text(key), tensor()])))))
    expect(await names()).toEqual(keys)
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
    writeFileSync(path, torchZip(pickle(data)))
    expect(await names()).toEqual(['w'])
  })
})

/** A sound zip file, and edits of its bytes. */
const sound = () => torchZip(one({}))
const CENTRAL = 'PK\x01\x02'
const LOCAL = 'PK\x03\x04'
const END = 'PK\x05\x06'

/** Overwrites bytes at a distance from the n-th signature. */
function edited(signature: string, nth: number, at: number, ...bytes: number[]): Buffer {
  const file = sound()
  let place = -1
  for (let i = 0; i <= nth; i++) place = file.indexOf(signature, place + 1, 'latin1')
  file.set(bytes, place + at)
  return file
}

const named = (name: string) => torchZip(one({}), [{ name, content: 'x' }])
const zips: Case[] = [
  ['17 a name twice', named('x/data/0'), /entries "x\/data\/0" and "x\/data\/0"/],
  ['17 names that differ by case', named('X/data/0'), /entries "x\/data\/0" and "X\/data\/0"/],
  ['17 an absolute name', named('/etc/passwd'), /no plain path/],
  ['17 a name upwards', named('x/../../y'), /no plain path/],
  ['17 a backslash', named('x\\data\\1'), /no plain path/],
  ['17 a NUL', named('x/data/1\0.txt'), /no plain path/],
  ['17 not UTF-8', edited(CENTRAL, 2, 46, 0xff), /not UTF-8/],
  ['18 another name', edited(LOCAL, 2, 30, 0x79), /two headers of "x\/data\/0" that disagree/],
  ['18 another method', edited(LOCAL, 2, 8, 8), /two headers/],
  ['18 another size', edited(LOCAL, 2, 22, 11), /two headers/],
  ['18 other flags', edited(LOCAL, 2, 6, 1), /two headers/],
  ['18 another checksum', edited(LOCAL, 2, 14, 1), /two headers/],
  ['18 a folder to other readers', edited(CENTRAL, 2, 38, 0x10), /the folder "x\/data\/0"/],
  ['19 an entry over another', edited(CENTRAL, 2, 42, 0, 0), /overlap or leave gaps/],
  ['19 a gap', bytesOf(repeat(0, 8), sound()), /known|elsewhere/],
  [
    '19 a directory past the file',
    edited(END, 0, 16, 0xff, 0xff, 0xff, 0x0f),
    /directory elsewhere/,
  ],
  ['19 more entries than there are', edited(END, 0, 8, 9, 0, 9, 0), /fewer entries than/],
  ['19 fewer entries', edited(END, 0, 8, 2, 0, 2, 0), /more entries than/],
  ['19 two counts', edited(END, 0, 8, 2, 0), /two counts/],
  ['19 a comment', bytesOf(edited(END, 0, 20, 1, 0), 'c'), /bytes after its end, or a comment/],
  ['19 two end records', bytesOf(sound(), sound().subarray(-22)), /elsewhere/],
  ['19 another zip file behind it', bytesOf(sound(), sound()), /elsewhere/],
  ['19 bytes behind it', bytesOf(sound(), 'tail'), /bytes after its end/],
  [
    '20 deflated',
    torchZip(one({}), [{ name: 'x/a', content: 'aaaa', method: 8 }]),
    /compressed \(method 8\)/,
  ],
  ['20 encrypted', edited(CENTRAL, 2, 8, 1), /encrypted/],
  ['20 several disks', edited(END, 0, 4, 1), /several disks/],
  ['20 an entry on another disk', edited(CENTRAL, 2, 34, 1), /several disks/],
  [
    '20 64-bit sizes that are not there',
    edited(CENTRAL, 2, 20, ...Array(8).fill(0xff)),
    /not there/,
  ],
  ['21 two pickles', named('x/y/data.pkl'), /more than one data\.pkl/],
  [
    '21 the pickle under another name',
    torchZip(one({}), [], 'a/b').fill('z', 30, 31),
    /two headers|no plain/,
  ],
  ['21 entries beside the folder', named('other/evil.bin'), /entries beside its folder/],
  [
    '21 no pickle',
    Buffer.from(sound().toString('latin1').replaceAll('data.pkl', 'evil.bin'), 'latin1'),
    /without torch's data\.pkl/,
  ],
  [
    'big-endian',
    Buffer.from(torchZip(one({})).toString('latin1').replaceAll('little', 'biggie'), 'latin1'),
    /checksum/,
  ],
  ['23 TorchScript', named('x/code/__torch__.py'), /TorchScript.*state_dict/],
  ['cut short', sound().subarray(0, -30), /ends before it.*stopped too early/],
]

test.each(zips)('in the zip file: %s', (_, file, says) => refused(file, says))

test('in the zip file: 64-bit records of torch itself, falsified', async () => {
  const whole = readFileSync(join(pthFolder, 'buffer.zip.pth'))
  const places: [at: number, value: number, says: RegExp][] = [
    [whole.length - 98 + 4, 45, /64 bits that is not whole/],
    [whole.length - 98 + 32, 1, /64 bits that is not whole/],
    [whole.length - 98 + 55, 0xff, /past 2\^53/],
    [whole.length - 98 + 40, 0, /end records that disagree/],
    [whole.length - 42 + 16, 2, /64 bits that is not whole/],
    [whole.indexOf('PK\x07\x08', 0, 'latin1') + 4, 0, /descriptor of .* disagrees/],
  ]
  for (const [at, value, says] of places) {
    const file = Buffer.from(whole)
    file[at] = file[at] === value ? value + 1 : value
    vi.mocked(open).mockClear()
    await refused(file, says)
  }
})

const legacy: Case[] = [
  [
    '22 another magic number',
    torchLegacy({ magic: bytesOf('M', 1, 2) }),
    /pickle, but not one of torch/,
  ],
  ['22 a count that is not the length', torchLegacy({ count: 4 }), /count of 4, expected 3/],
  ['22 a negative count', torchLegacy({ count: -1 }), /count of -1/],
  ['22 a key twice', torchLegacy({ keys: list(text('0'), text('0')) }), /"0" twice/],
  [
    '22 a key of no tensor',
    torchLegacy({ keys: list(text('0'), text('1')) }),
    /"1" twice, or for no/,
  ],
  ['22 a key that is missing', torchLegacy({ keys: EMPTY_LIST }), /"0" is not in its list/],
  ['22 no list', torchLegacy({ keys: EMPTY_DICT }), /no list of storages/],
  ['22 bytes after the end', torchLegacy({ tail: bytesOf('x') }), /1 bytes after its last/],
  [
    '22 big-endian',
    torchLegacy({ system: dict(text('little_endian'), 0x89) }),
    /big-endian machine/,
  ],
  [
    '22 ids of a zip file',
    torchLegacy({ object: dict(text('w'), tensor()) }),
    /no storage of torch/,
  ],
  ['22 cut in the data', torchLegacy().subarray(0, -1), /ends inside storage "0"/],
  ['22 cut in the head', torchLegacy().subarray(0, 60), /its pickle ends/],
]

test.each(legacy)('legacy: %s', (_, file, says) => refused(file, says))

test('19 a directory of more than 65,536 entries', () => {
  const file = readFileSync(join(pthFolder, 'buffer.zip.pth'))
  const record = file.length - 98
  for (const at of [24, 32]) file.writeBigUInt64LE(65_537n, record + at)
  file.fill(0xff, file.length - 22 + 8, file.length - 22 + 12)
  return refused(file, /has 65537 entries/)
})

test('21 a pickle of more than 64 MiB', () => {
  const long = bytesOf(0x80, 2, 'X', 0, 0, 0, 4, Buffer.alloc(2 ** 26), '0N.')
  return refused(torchZip(long), /data\.pkl is too long/)
})

test('25 a file that is replaced while it is read is the one that was opened', async () => {
  writeFileSync(path, sound())
  const found = await readWeights(path, {}, async ({ tensors, fd }) => {
    rmSync(path)
    writeFileSync(path, 'another file')
    const bytes = Buffer.alloc(12)
    readSync(fd, bytes, 0, 12, tensors[0]?.storage.begin ?? 0)
    return bytes
  })
  expect(found.equals(floats)).toBe(true)
})
