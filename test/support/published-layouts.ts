// Small files in the layouts of published weights: what test/fixtures/make_official.py writes of whole
// networks, here of any float tensors.

import {
  bytesOf,
  call,
  countedStorage,
  dict,
  global,
  integer,
  list,
  NONE,
  pickle,
  tensor,
  text,
  torchLegacy,
  torchZip,
  tuple,
} from './pickle-writer.js'
import type { PlainTensor } from './safetensors-files.js'

interface Stored {
  name: string
  /** Of the storage: an address, in no order. */
  key: string
  count: number
  shape: number[]
  strides: number[]
  bytes: Buffer
}

/** torchvision's zip files: every tensor a Parameter, storages named by addresses. */
export function parametersZip(tensors: Map<string, PlainTensor>): Buffer {
  const stored = storedOf(tensors)
  const items = stored.flatMap(({ name, key, count, shape, strides }) => [
    text(name),
    call(
      'torch._utils',
      '_rebuild_parameter',
      tensor({
        key,
        count: integer(count),
        shape: shape.map(integer),
        strides: strides.map(integer),
      }),
      0x88,
      call('collections', 'OrderedDict'),
    ),
  ])
  const entries = byKey(stored).map(({ key, bytes }) => ({ name: `x/data/${key}`, content: bytes }))
  return torchZip(pickle(dict(...items)), entries)
}

/** torchvision's VGG files, of 2017: tensors of four arguments, then the storages by their keys. */
export function fourArguments(tensors: Map<string, PlainTensor>): Buffer {
  const stored = storedOf(tensors)
  const items = stored.flatMap(({ name, key, count, shape, strides }) => [
    text(name),
    call(
      'torch._utils',
      '_rebuild_tensor',
      bytesOf(
        tuple(
          text('storage'),
          global('torch', 'FloatStorage'),
          text(key),
          text('cpu'),
          integer(count),
          NONE,
        ),
        'Q',
      ),
      integer(0),
      tuple(...shape.map(integer)),
      tuple(...strides.map(integer)),
    ),
  ])
  const ordered = byKey(stored)
  return torchLegacy({
    object: dict(...items),
    keys: list(...ordered.map(({ key }) => text(key))),
    storages: bytesOf(...ordered.map(({ count, bytes }) => countedStorage(count, bytes))),
  })
}

function storedOf(tensors: Map<string, PlainTensor>): Stored[] {
  return [...tensors].map(([name, { shape, bytes }], index) => ({
    name,
    key: String(94650337000000 + 64 * ((index * 7919) % 101)),
    count: bytes.length / 4,
    shape,
    strides: shape.map((_, at) => shape.slice(at + 1).reduce((all, extent) => all * extent, 1)),
    bytes,
  }))
}

const byKey = (stored: Stored[]) => stored.toSorted((a, b) => (a.key < b.key ? -1 : 1))
