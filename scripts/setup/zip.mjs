// @ts-check
// A zip reader for wheels: central directory, zip64, stored and deflated entries, streamed to
// files. Every name is checked before the first file is written; size and CRC of each are checked
// while it is written. It makes regular files and their folders only.

import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { SetupError } from './setup-error.mjs'

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {number} method 0 stored, 8 deflated
 * @property {number} crc
 * @property {number} packed bytes in the archive
 * @property {number} size bytes unpacked
 * @property {number} offset of the local header
 */

const endSize = 22
const end64LocatorSize = 20
const directoryLimit = 64 * 2 ** 20

/** @param {string} archive @param {string} reason */
const refuse = (archive, reason) => new SetupError(`mcloss: ${archive} is refused: ${reason}.`)

/**
 * Unpacks the entries whose new name `place` gives; undefined leaves an entry out.
 * @param {string} archive
 * @param {string} target an existing folder
 * @param {(name: string) => string | undefined} place
 * @param {{limit?: number}} [options] limit: bytes unpacked in all; default 8 GiB
 * @returns {Promise<number>} files written
 */
export async function unzip(archive, target, place, { limit = 8 * 2 ** 30 } = {}) {
  const file = await open(archive)
  try {
    const entries = await readDirectory(file, archive)
    for (const entry of entries) checkName(entry.name, archive)
    /** @type {{entry: Entry, path: string}[]} */
    const chosen = []
    for (const entry of entries) {
      const path = entry.name.endsWith('/') ? undefined : place(entry.name)
      if (path) chosen.push({ entry, path })
    }
    const total = chosen.reduce((sum, { entry }) => sum + entry.size, 0)
    if (total > limit) throw refuse(archive, `${total} bytes unpacked are more than ${limit}`)
    for (const { entry, path } of chosen) {
      const output = join(target, path)
      await mkdir(dirname(output), { recursive: true })
      await unpack(file, archive, entry, output)
    }
    return chosen.length
  } finally {
    await file.close()
  }
}

/** @param {string} name @param {string} archive */
function checkName(name, archive) {
  const segments = name.replace(/\/$/, '').split('/')
  const leaves = segments.some((segment) => ['', '.', '..'].includes(segment))
  // Backslashes and drive letters are path syntax elsewhere; no wheel has them.
  if (leaves || /[\\\0]|^[A-Za-z]:/.test(name)) {
    throw refuse(archive, `the entry ${JSON.stringify(name)} could leave the target folder`)
  }
}

/**
 * @param {import('node:fs/promises').FileHandle} file
 * @param {string} archive
 * @returns {Promise<Entry[]>}
 */
async function readDirectory(file, archive) {
  const { size: length } = await file.stat()
  const tail = await readAt(file, archive, Math.max(0, length - endSize - 0xffff), length)
  const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end < 0 || end + endSize > tail.length) {
    throw refuse(archive, 'it has no end record: not a zip file, or cut short')
  }
  let count = tail.readUInt16LE(end + 10)
  let size = tail.readUInt32LE(end + 12)
  let offset = tail.readUInt32LE(end + 16)
  const locator = end - end64LocatorSize
  if (locator >= 0 && tail.readUInt32LE(locator) === 0x07064b50) {
    const at = Number(tail.readBigUInt64LE(locator + 8))
    const end64 = await readAt(file, archive, at, at + 56)
    count = Number(end64.readBigUInt64LE(32))
    size = Number(end64.readBigUInt64LE(40))
    offset = Number(end64.readBigUInt64LE(48))
  }
  if (size > directoryLimit) throw refuse(archive, `its directory claims ${size} bytes`)
  return parseDirectory(await readAt(file, archive, offset, offset + size), count, archive)
}

/** @param {Buffer} bytes @param {number} count @param {string} archive @returns {Entry[]} */
function parseDirectory(bytes, count, archive) {
  const entries = []
  const names = new Set()
  let at = 0
  for (let index = 0; index < count; index++) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== 0x02014b50) {
      throw refuse(archive, `its directory is damaged at entry ${index} of ${count}`)
    }
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28)
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30)
    const name = bytes.toString('utf8', at + 46, nameEnd)
    const type = (bytes.readUInt32LE(at + 38) >>> 16) & 0o170000
    const method = bytes.readUInt16LE(at + 10)
    // 0: made without Unix modes. Links and devices are never unpacked.
    if (![0, 0o100000, 0o040000].includes(type)) throw refuse(archive, `${name} is no regular file`)
    if (bytes.readUInt16LE(at + 8) & 1) throw refuse(archive, `${name} is encrypted`)
    if (method !== 0 && method !== 8) throw refuse(archive, `${name} has method ${method}`)
    if (names.has(name)) throw refuse(archive, `${name} is in it twice`)
    names.add(name)
    entries.push({ name, method, crc: bytes.readUInt32LE(at + 16), ...sizesOf(bytes, at, nameEnd) })
    at = extraEnd + bytes.readUInt16LE(at + 32)
  }
  return entries
}

/** Sizes and offset; those that are 0xffffffff stand in the zip64 extra field, in this order. */
function sizesOf(
  /** @type {Buffer} */ bytes,
  /** @type {number} */ at,
  /** @type {number} */ extra,
) {
  const fields = [24, 20, 42].map((field) => bytes.readUInt32LE(at + field))
  const extraEnd = Math.min(extra + bytes.readUInt16LE(at + 30), bytes.length)
  for (let field = extra; field + 4 <= extraEnd; field += 4 + bytes.readUInt16LE(field + 2)) {
    if (bytes.readUInt16LE(field) !== 1) continue
    let next = field + 4
    for (let index = 0; index < fields.length && next + 8 <= extraEnd; index++) {
      if (fields[index] !== 0xffffffff) continue
      fields[index] = Number(bytes.readBigUInt64LE(next))
      next += 8
    }
  }
  const [size = 0, packed = 0, offset = 0] = fields
  return { size, packed, offset }
}

/**
 * @param {import('node:fs/promises').FileHandle} file
 * @param {string} archive
 * @param {Entry} entry
 * @param {string} output
 */
async function unpack(file, archive, entry, output) {
  const header = await readAt(file, archive, entry.offset, entry.offset + 30)
  if (header.readUInt32LE(0) !== 0x04034b50) {
    throw refuse(archive, `the header of ${entry.name} is damaged`)
  }
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const check = checker(archive, entry)
  const write = createWriteStream(output, { flags: 'wx' })
  if (entry.packed === 0) {
    await pipeline([Buffer.alloc(0)], check, write)
    return
  }
  const source = createReadStream(archive, { start, end: start + entry.packed - 1 })
  try {
    if (entry.method === 0) await pipeline(source, check, write)
    else await pipeline(source, createInflateRaw(), check, write)
  } catch (error) {
    if (error instanceof SetupError) throw error
    const code = /** @type {NodeJS.ErrnoException} */ (error).code ?? ''
    if (!code.startsWith('Z_') && !code.startsWith('ERR_')) throw error
    throw refuse(archive, `${entry.name} cannot be unpacked (${code})`)
  }
}

/** Passes bytes through; fails as soon as they are too many, at the end when too few or other. */
function checker(/** @type {string} */ archive, /** @type {Entry} */ entry) {
  let size = 0
  let crc = 0xffffffff
  return new Transform({
    transform(bytes, _encoding, done) {
      size += bytes.length
      if (size > entry.size) {
        done(
          refuse(archive, `${entry.name} unpacks to more than the ${entry.size} bytes it claims`),
        )
        return
      }
      crc = updateCrc(crc, bytes)
      done(null, bytes)
    },
    flush(done) {
      if (size !== entry.size) {
        done(refuse(archive, `${entry.name} has ${size} bytes, not the ${entry.size} it claims`))
      } else if ((crc ^ 0xffffffff) >>> 0 !== entry.crc) {
        done(refuse(archive, `${entry.name} has another CRC-32 than it claims`))
      } else done()
    },
  })
}

// node:zlib has crc32 only from Node 20.15 on.
const crcTable = Uint32Array.from({ length: 256 }, (_, value) => {
  let crc = value
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** @param {number} crc @param {Uint8Array} bytes */
function updateCrc(crc, bytes) {
  let next = crc
  for (const byte of bytes) {
    next = (next >>> 8) ^ /** @type {number} */ (crcTable[(next ^ byte) & 0xff])
  }
  return next
}

/**
 * Bytes from..to of a file; refuses a range the file does not have.
 * @param {import('node:fs/promises').FileHandle} file
 * @param {string} archive
 * @param {number} from
 * @param {number} to
 */
async function readAt(file, archive, from, to) {
  const { size } = await file.stat()
  if (!(from >= 0 && from <= to && to <= size)) {
    throw refuse(archive, `it points at bytes ${from}..${to} of its ${size}: damaged or cut short`)
  }
  const bytes = Buffer.alloc(to - from)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
  if (bytesRead !== bytes.length) throw refuse(archive, 'it became shorter while it was read')
  return bytes
}
