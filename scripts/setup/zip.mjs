// @ts-check
// Unpacks wheels with yauzl, which checks the archive's records and the size of each entry. Here:
// every name and kind is checked before the first file is written, and the CRC-32 of each entry
// while it is written. Only regular files and their folders are made.

import { createReadStream, createWriteStream, read } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import { fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl'
import { reasonOf, SetupError } from './setup-error.mjs'

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
    const { size } = await file.stat()
    // Names stay bytes: their check is here, and it is stricter than yauzl's.
    const options = { autoClose: false, decodeStrings: false }
    const zip = await fromRandomAccessReaderPromise(
      new Bytes(archive, file.fd, size),
      size,
      options,
    )
    const chosen = [...(await checkedEntries(zip))].flatMap(([name, entry]) => {
      const path = name.endsWith('/') ? undefined : place(name)
      return path ? [{ name, entry, output: join(target, path) }] : []
    })
    const total = chosen.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0)
    if (total > limit) throw new Refusal(`${total} bytes unpacked are more than ${limit}`)
    for (const { name, entry, output } of chosen) {
      await mkdir(dirname(output), { recursive: true })
      await unpack(zip, entry, output).catch((error) => {
        throw isRefusal(error) ? new Refusal(`${name}: ${reasonOf(error)}`) : error
      })
    }
    return chosen.length
  } catch (error) {
    if (!isRefusal(error)) throw error
    throw new SetupError(`mcloss: ${archive} is refused: ${reasonOf(error)}.`)
  } finally {
    await file.close()
  }
}

/** yauzl's own reader throws past every catch at an offset of 2^53 or more. */
class Bytes extends RandomAccessReader {
  /** @param {string} path @param {number} fd @param {number} size */
  constructor(path, fd, size) {
    super()
    this.path = path
    this.fd = fd
    this.size = size
  }

  /** @override @type {RandomAccessReader['read']} */
  read(buffer, offset, length, position, callback) {
    if (position + length > this.size) callback(new Refusal('it is damaged or cut short'))
    else read(this.fd, buffer, offset, length, position, callback)
  }

  /** @override @param {number} start @param {number} end */
  _readStreamForRange(start, end) {
    return createReadStream(this.path, { start, end: end - 1 })
  }
}

class Refusal extends Error {}

/** yauzl's, zlib's and our judgements of the bytes; not what the file system says, nor a mistake. */
function isRefusal(/** @type {unknown} */ error) {
  return error instanceof Error && !('syscall' in error) && !(error instanceof TypeError)
}

/** @param {import('yauzl').ZipFile} zip */
async function checkedEntries(zip) {
  /** @type {Map<string, import('yauzl').Entry>} */
  const entries = new Map()
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileNameRaw.toString()
    const segments = name.replace(/\/$/, '').split('/')
    const leaves = segments.some((segment) => ['', '.', '..'].includes(segment))
    // Backslashes and drive letters are path syntax elsewhere; no wheel has them.
    if (leaves || /[\\\0]|^[A-Za-z]:/.test(name)) {
      throw new Refusal(`the entry ${JSON.stringify(name)} could leave the target folder`)
    }
    const type = (entry.externalFileAttributes >>> 16) & 0o170000
    // 0: made without Unix modes. Links and devices are never unpacked.
    if (![0, 0o100000, 0o040000].includes(type)) throw new Refusal(`${name} is no regular file`)
    if (entry.isEncrypted()) throw new Refusal(`${name} is encrypted`)
    if (!entry.canDecodeFileData()) {
      throw new Refusal(`${name} has method ${entry.compressionMethod}`)
    }
    if (entries.has(name)) throw new Refusal(`${name} is in it twice`)
    entries.set(name, entry)
  }
  return entries
}

/** @param {import('yauzl').ZipFile} zip @param {import('yauzl').Entry} entry @param {string} output */
async function unpack(zip, entry, output) {
  const content = await zip.openReadStreamPromise(entry)
  const checked = async function* (/** @type {AsyncIterable<Buffer>} */ source) {
    let crc = 0
    for await (const bytes of source) {
      crc = crc32(bytes, crc)
      yield bytes
    }
    if (crc !== entry.crc32) throw new Refusal('its bytes have another CRC-32 than it claims')
  }
  await pipeline(content, checked, createWriteStream(output, { flags: 'wx' }))
}
