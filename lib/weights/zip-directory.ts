// Where the entries of a zip file lie, if there is only one way to read it: every entry stored as it is,
// local headers that say what the directory says, entries that fill the file from its first byte to the
// directory, and the directory and its end records to the last. yauzl finds entries well, but hides where
// the directory lies and does not compare the two headers, and a zip that two readers read
// differently is how attacks pass a scanner.

import type { FileBytes } from './file-bytes.js'
import { EndOfBytes, quoted, Refusal } from './refusal.js'

export interface ZipEntry {
  name: string
  /** Of its bytes in the file. */
  begin: number
  end: number
  /** 0: written without. */
  crc: number
}

interface CentralEntry {
  nameBytes: Buffer
  name: string
  flags: number
  crc: number
  size: number
  offset: number
}

const MAX_ENTRIES = 65_536
const MAX_DIRECTORY_BYTES = 2 ** 25
const REPACKED = 'It was not written by torch.save, or packed again by another tool: save it again'
const END = 22
const END64 = 56
const LOCATOR = 20
const HAS_DESCRIPTOR = 0x0008
const IS_UTF8 = 0x0800
const ALL_ONES = 0xffffffff
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The entries by name. Throws a Refusal. */
export async function readZipDirectory(bytes: FileBytes): Promise<Map<string, ZipEntry>> {
  const { begin, end, count } = await findDirectory(bytes)
  const central = readEntries(await bytes.read(begin, end - begin), count)
  checkNames(central)
  const entries = new Map<string, ZipEntry>()
  let at = 0
  for (const entry of central.toSorted((a, b) => a.offset - b.offset)) {
    if (entry.offset !== at) throw repacked('entries that overlap or leave gaps')
    const local = await readLocal(bytes, entry, begin)
    entries.set(entry.name, { ...local, name: entry.name, crc: entry.crc })
    at = local.end + (await descriptorLength(bytes, entry, local.end))
  }
  if (at !== begin) throw repacked('bytes between its entries and its directory')
  return entries
}

async function findDirectory(bytes: FileBytes) {
  const { size } = bytes
  const tail = await bytes.read(Math.max(0, size - END64 - LOCATOR - END), Math.min(size, 98))
  const plain = tail.subarray(-END)
  if (plain.length < END || plain.readUInt32LE() !== 0x06054b50 || plain.readUInt16LE(20) !== 0) {
    await refuseEnd(bytes)
  }
  const own = {
    count: plain.readUInt16LE(10),
    length: plain.readUInt32LE(12),
    begin: plain.readUInt32LE(16),
  }
  const isSplit = plain.readUInt32LE(4) !== 0 || plain.readUInt16LE(8) !== own.count
  if (isSplit) throw repacked('several disks, or two counts of its entries')
  const is64 = tail.length === 98 && tail.readUInt32LE(END64) === 0x07064b50
  const directory = is64 ? read64(tail, size) : own
  if (is64) {
    const pairs: [number, number, number][] = [
      [own.count, directory.count, 0xffff],
      [own.length, directory.length, ALL_ONES],
      [own.begin, directory.begin, ALL_ONES],
    ]
    if (pairs.some(([short, long, ones]) => short !== long && short !== ones)) {
      throw repacked('two end records that disagree')
    }
  }
  const { count, length, begin } = directory
  const end = size - (is64 ? END64 + LOCATOR + END : END)
  if (begin + length !== end) throw repacked('a directory elsewhere than before its end record')
  if (count > MAX_ENTRIES || length > MAX_DIRECTORY_BYTES) throw repacked(`${count} entries`)
  return { begin, end, count }
}

function read64(tail: Buffer, size: number) {
  const recordBegin = big(tail, END64 + 8)
  const record = [tail.readUInt32LE(), big(tail, 4), tail.readUInt32LE(16), tail.readUInt32LE(20)]
  const isWhole = record.every((value, i) => value === [0x06064b50, END64 - 12, 0, 0][i])
  const disks = tail.readUInt32LE(END64 + 4) === 0 && tail.readUInt32LE(END64 + 16) === 1
  const isBefore = recordBegin === size - END - LOCATOR - END64
  const count = big(tail, 32)
  if (!isWhole || !disks || !isBefore || big(tail, 24) !== count) {
    throw repacked('an end record of 64 bits that is not whole')
  }
  return { count, length: big(tail, 40), begin: big(tail, 48) }
}

/** No end record at the end: is the rest missing, or is there more? */
async function refuseEnd(bytes: FileBytes): Promise<never> {
  const length = Math.min(bytes.size, 65_535 + END)
  const tail = await bytes.read(bytes.size - length, length)
  if (tail.includes('PK\x05\x06', 0, 'latin1')) throw repacked('bytes after its end, or a comment')
  throw new EndOfBytes(
    'a zip file has its directory at its end, and this one ends before it',
    'The download or copy stopped too early: get it again, and compare its size and SHA-256',
  )
}

function readEntries(directory: Buffer, count: number): CentralEntry[] {
  const entries: CentralEntry[] = []
  let at = 0
  while (entries.length < count) {
    const fields = directory.subarray(at, at + 46)
    if (fields.length < 46 || fields.readUInt32LE() !== 0x02014b50) {
      throw repacked('fewer entries than it counts')
    }
    const [nameLength, extraLength] = [fields.readUInt16LE(28), fields.readUInt16LE(30)]
    const nameBytes = directory.subarray(at + 46, at + 46 + nameLength)
    const extraEnd = at + 46 + nameLength + extraLength
    if (extraEnd > directory.length) throw repacked('a directory that ends inside an entry')
    const name = decoded(nameBytes)
    if (fields.readUInt32LE(32) !== 0) throw repacked('a comment, or several disks')
    // torch's own reader would find no bytes in it.
    if (fields.readUInt32LE(38) & 0x10) throw repacked(`the folder ${quoted(name)}`)
    const extra = directory.subarray(at + 46 + nameLength, extraEnd)
    const [size = 0, packed = 0, offset = 0] = widened(
      [fields.readUInt32LE(24), fields.readUInt32LE(20), fields.readUInt32LE(42)],
      extra,
    )
    const flags = fields.readUInt16LE(8)
    const method = fields.readUInt16LE(10)
    if (flags & 0x2041) throw repacked(`the encrypted entry ${quoted(name)}`)
    if ((flags & ~(HAS_DESCRIPTOR | IS_UTF8)) !== 0) throw repacked(`unknown flags, ${flags}`)
    if (method !== 0 || packed !== size) {
      throw repacked(`the entry ${quoted(name)} compressed (method ${method})`)
    }
    entries.push({ nameBytes, name, flags, crc: fields.readUInt32LE(16), size, offset })
    at = extraEnd
  }
  if (at !== directory.length) throw repacked('more entries than it counts')
  return entries
}

/** Sizes and offsets that do not fit 32 bits lie in an extra field, in this order. */
function widened(values: number[], extra: Buffer): number[] {
  let field = Buffer.alloc(0)
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + extra.readUInt16LE(at + 2)
    if (end > extra.length) throw repacked('an extra field past its end')
    if (extra.readUInt16LE(at) === 1) field = Buffer.from(extra.subarray(at + 4, end))
    at = end
  }
  let at = 0
  return values.map((value) => {
    if (value !== ALL_ONES) return value
    if (at + 8 > field.length) throw repacked('a size of 64 bits that is not there')
    at += 8
    return big(field, at - 8)
  })
}

async function readLocal(bytes: FileBytes, entry: CentralEntry, limit: number) {
  const { offset, nameBytes, flags, crc, size } = entry
  const fields = await bytes.piece(offset, 30)
  const nameLength = fields.readUInt16LE(26)
  const begin = offset + 30 + nameLength + fields.readUInt16LE(28)
  if (begin + size > limit) throw repacked(`the entry ${quoted(entry.name)} past its directory`)
  const rest = await bytes.piece(offset, begin - offset)
  const [localSize, localPacked] = widened(
    [rest.readUInt32LE(22), rest.readUInt32LE(18)],
    rest.subarray(30 + nameLength),
  )
  // What comes in a descriptor after the data is 0 here.
  const isLeftOut = (flags & HAS_DESCRIPTOR) !== 0
  const agrees = (local: number | undefined, central: number) =>
    local === central || (isLeftOut && local === 0)
  const isSame =
    rest.readUInt32LE() === 0x04034b50 &&
    rest.readUInt16LE(6) === flags &&
    rest.readUInt16LE(8) === 0 &&
    agrees(rest.readUInt32LE(14), crc) &&
    agrees(localSize, size) &&
    agrees(localPacked, size) &&
    rest.subarray(30, 30 + nameLength).equals(nameBytes)
  if (!isSame) throw repacked(`two headers of ${quoted(entry.name)} that disagree`)
  return { begin, end: begin + size }
}

async function descriptorLength(bytes: FileBytes, entry: CentralEntry, at: number) {
  if ((entry.flags & HAS_DESCRIPTOR) === 0) return 0
  const field = await bytes.piece(at, Math.min(24, bytes.size - at))
  if (
    field.length === 24 &&
    field.readUInt32LE() === 0x08074b50 &&
    field.readUInt32LE(4) === entry.crc
  ) {
    const isNarrow = [8, 12].every((place) => field.readUInt32LE(place) === entry.size)
    if (isNarrow) return 16
    if ([8, 16].every((place) => field.readBigUInt64LE(place) === BigInt(entry.size))) return 24
  }
  throw repacked(`a descriptor of ${quoted(entry.name)} that disagrees with its directory`)
}

function checkNames(entries: CentralEntry[]): void {
  const seen = new Map<string, string>()
  for (const { name } of entries) {
    const isPath = name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (!isPath || /[\\\u0000-\u001f\u007f]|^[A-Za-z]:/.test(name)) {
      throw repacked(`the entry ${quoted(name)}, whose name is no plain path`)
    }
    const same = seen.get(name.toLowerCase())
    if (same !== undefined) throw repacked(`the entries ${quoted(same)} and ${quoted(name)}`)
    seen.set(name.toLowerCase(), name)
  }
}

function decoded(name: Buffer): string {
  try {
    return utf8.decode(name)
  } catch {
    throw repacked('a name that is not UTF-8')
  }
}

function big(buffer: Buffer, at: number): number {
  const value = buffer.readBigUInt64LE(at)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw repacked('a size past 2^53')
  return Number(value)
}

const repacked = (what: string) => new Refusal(`its zip directory has ${what}`, REPACKED)
