// What torch.save wrote before 1.6, and the official VGG files are: five pickles in a row (a magic
// number, a version, what the machine was like, the object, the storages' keys), then for each key in
// that order a count of elements, 8 bytes, and the bytes.

import type { FileBytes } from './file-bytes.js'
import { readPickle } from './pickle.js'
import { Dict, List, type Storage, type Value } from './pickle-values.js'
import { EndOfBytes, OtherKind, quoted, Refusal } from './refusal.js'
import type { TorchFile } from './torch-file.js'
import { TorchMeanings } from './torch-globals.js'

/** The first pickle: 0x1950a86a20f9469cfc6c. */
export const LEGACY_MAGIC = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex')
const VERSION = 1001
const MAX_HEAD_BYTES = 2 ** 26

interface Head {
  object: Value
  keys: string[]
  storages: Map<string, Storage>
  end: number
}

export async function readTorchLegacy(bytes: FileBytes): Promise<TorchFile> {
  const { object, keys, storages, end } = await readHead(bytes)
  const places = new Map<string, { begin: number; end: number }>()
  let at = end
  for (const key of keys) {
    const storage = storages.get(key)
    if (!storage || places.has(key)) {
      throw new Refusal(`its list of storages has ${quoted(key)} twice, or for no tensor`)
    }
    const count = (await bytes.piece(at, 8)).readBigInt64LE()
    if (count !== BigInt(storage.elements)) {
      throw new Refusal(
        `storage ${quoted(key)} begins with a count of ${count}, expected ${storage.elements}`,
      )
    }
    const place = { begin: at + 8, end: at + 8 + storage.bytes }
    if (place.end > bytes.size) throw new EndOfBytes(`it ends inside storage ${quoted(key)}`)
    places.set(key, place)
    at = place.end
  }
  const missing = [...storages.keys()].find((key) => !places.has(key))
  if (missing !== undefined) throw new Refusal(`its storage ${quoted(missing)} is not in its list`)
  if (at !== bytes.size) throw new Refusal(`it has ${bytes.size - at} bytes after its last storage`)
  const check = async () => 'not checked' as const
  return { object, storages: places, unused: 0, check }
}

/** Its length is not written down: what is read doubles until the pickles end inside it. */
async function readHead(bytes: FileBytes): Promise<Head> {
  const most = Math.min(bytes.size, MAX_HEAD_BYTES)
  for (let length = Math.min(most, 2 ** 18); ; length = Math.min(most, 2 * length)) {
    try {
      return parseHead(await bytes.read(0, length), bytes.size)
    } catch (error) {
      if (!(error instanceof EndOfBytes) || length === most) throw error
    }
  }
}

function parseHead(bytes: Buffer, fileBytes: number): Head {
  const meanings = new TorchMeanings(6, fileBytes)
  let at = LEGACY_MAGIC.length
  const next = (): Value => {
    const { value, end } = readPickle(bytes, at, meanings)
    at = end
    return value
  }
  const version = next()
  const system = next()
  const object = next()
  const list = next()
  if (version !== VERSION || !(system instanceof Dict)) {
    throw new Refusal(`it has no header of version ${VERSION}`)
  }
  if (system.entries.get('little_endian') !== true) {
    throw new OtherKind(
      'a file of a big-endian machine',
      'Save it again on a machine that is little-endian, as nearly all are',
    )
  }
  if (!(list instanceof List)) throw new Refusal('it has no list of storages')
  const keys = list.items.map((key) => {
    if (typeof key !== 'string') throw new Refusal('its list of storages has a key that is no text')
    return key
  })
  return { object, keys, storages: meanings.storages, end: at }
}
