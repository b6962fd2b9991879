// Reading pieces of an open file.

import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { EndOfBytes } from './refusal.js'

const AHEAD = 4096
const CHUNK = 1 << 22

export class FileBytes {
  #ahead: Buffer = Buffer.alloc(0)
  #begin = 0

  constructor(
    readonly file: FileHandle,
    /** Bytes. */
    readonly size: number,
  ) {}

  /** A small piece; neighbours are read with it. */
  async piece(begin: number, length: number): Promise<Buffer> {
    if (begin < this.#begin || begin + length > this.#begin + this.#ahead.length) {
      const most = Math.min(Math.max(length, AHEAD), Math.max(this.size - begin, length))
      this.#ahead = await this.read(begin, most)
      this.#begin = begin
    }
    return this.#ahead.subarray(begin - this.#begin, begin - this.#begin + length)
  }

  async read(begin: number, length: number): Promise<Buffer> {
    if (!(begin >= 0 && begin + length <= this.size)) throw new EndOfBytes('it ends early')
    return this.#fill(Buffer.alloc(length), begin)
  }

  /** CRC-32 of a range, without holding it. */
  async crc(begin: number, end: number): Promise<number> {
    const chunk = Buffer.alloc(Math.min(CHUNK, end - begin))
    let crc = 0
    for (let at = begin; at < end; at += chunk.length) {
      crc = crc32(await this.#fill(chunk.subarray(0, end - at), at), crc)
    }
    return crc
  }

  async #fill(bytes: Buffer, begin: number): Promise<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await this.file.read(bytes, at, bytes.length - at, begin + at)
      if (bytesRead === 0) throw new EndOfBytes('it ends early')
      at += bytesRead
    }
    return bytes
  }
}
