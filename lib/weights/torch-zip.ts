// What torch.save writes since 1.6: a zip file with one pickle, PREFIX/data.pkl, and the storages' bytes
// in PREFIX/data/KEY.

import type { FileBytes } from './file-bytes.js'
import { readPickle } from './pickle.js'
import type { Storage } from './pickle-values.js'
import { OtherKind, quoted, Refusal } from './refusal.js'
import type { TorchFile } from './torch-file.js'
import { TorchMeanings } from './torch-globals.js'
import { readZipDirectory, type ZipEntry } from './zip-directory.js'

const MAX_PICKLE_BYTES = 2 ** 26

export async function readTorchZip(bytes: FileBytes): Promise<TorchFile> {
  const entries = await readZipDirectory(bytes)
  const names = [...entries.keys()]
  const prefix = prefixOf(names)
  for (const [name, entry] of entries) {
    if (!name.startsWith(`${prefix}data/`)) await checkCrc(bytes, entry)
  }
  const content = async (name: string): Promise<Buffer | undefined> => {
    const entry = entries.get(prefix + name)
    if (!entry) return undefined
    if (entry.end - entry.begin > MAX_PICKLE_BYTES) throw new Refusal(`its ${name} is too long`)
    return bytes.read(entry.begin, entry.end - entry.begin)
  }
  const order = await content('byteorder')
  if (order && order.toString('latin1') !== 'little') {
    throw new OtherKind(
      `a file of the byte order ${quoted(order.toString('latin1', 0, 20))}`,
      'Save it again on a machine that is little-endian, as nearly all are',
    )
  }
  const pickle = (await content('data.pkl')) ?? Buffer.alloc(0)
  const meanings = new TorchMeanings(5, bytes.size)
  const { value, end } = readPickle(pickle, 0, meanings)
  if (end !== pickle.length) throw new Refusal('its pickle has bytes after its end')
  const places = placesOf(entries, `${prefix}data/`, meanings.storages)
  return {
    object: value,
    storages: places,
    unused: names.filter((name) => name.startsWith(`${prefix}data/`)).length - places.size,
    check: async (keys) => {
      const found = [...keys].flatMap((key) => places.get(key) ?? []).filter(isLong)
      for (const entry of found) await checkCrc(bytes, entry)
      return found.every(({ crc }) => crc !== 0) ? 'checked' : 'not checked'
    },
  }
}

/** 'PREFIX/'. */
function prefixOf(names: string[]): string {
  if (names.some((name) => /(?:^|\/)(?:code\/|constants\.pkl$)/.test(name))) {
    throw new OtherKind(
      'a TorchScript archive, a whole program',
      'Load it in Python with torch.jit.load and save its model.state_dict() with torch.save',
    )
  }
  const found = names.filter((name) => name.endsWith('/data.pkl'))
  if (found.length === 0) {
    throw new OtherKind(
      `a zip file without torch's data.pkl (it begins with ${quoted(names[0] ?? 'nothing')})`,
      'If the weights are inside, unpack it first; torch.export archives and numpy files are not read: ' +
        'save model.state_dict() with torch.save',
    )
  }
  const prefix = (found[0] ?? '').slice(0, -'data.pkl'.length)
  if (found.length > 1 || names.some((name) => !name.startsWith(prefix))) {
    throw new Refusal('it has more than one data.pkl, or entries beside its folder')
  }
  return prefix
}

function placesOf(entries: Map<string, ZipEntry>, folder: string, storages: Map<string, Storage>) {
  const places = new Map<string, ZipEntry>()
  for (const [key, storage] of storages) {
    const entry = entries.get(folder + key)
    if (!entry) throw new Refusal(`the bytes of storage ${quoted(key)} are not in it`)
    if (entry.end - entry.begin !== storage.bytes) {
      throw new Refusal(
        `storage ${quoted(key)} has ${entry.end - entry.begin} bytes, expected ${storage.bytes}`,
      )
    }
    places.set(key, entry)
  }
  return places
}

async function checkCrc(bytes: FileBytes, entry: ZipEntry): Promise<void> {
  if (entry.crc === 0 || (await bytes.crc(entry.begin, entry.end)) === entry.crc) return
  throw new Refusal(
    `the bytes of ${quoted(entry.name)} do not have the checksum written beside them`,
  )
}

const isLong = ({ begin, end }: ZipEntry) => end > begin
