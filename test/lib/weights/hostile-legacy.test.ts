// Legacy files of torch.save that are not what they say: as hostile-pickle.test.ts.

import { test } from 'vitest'
import { type Case, refused } from '../../support/hostile-weights.js'
import {
  bytesOf,
  dict,
  EMPTY_DICT,
  EMPTY_LIST,
  list,
  tensor,
  text,
  torchLegacy,
} from '../../support/pickle-writer.js'

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
