// What can be said of bytes without understanding them.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

const HEAD_BYTES = 64

export interface Digest {
  bytes: number
  sha256: string
  /** The first of them, by which a kind of file is told. */
  head: Buffer
}

export class RunningDigest {
  bytes = 0
  #head = Buffer.alloc(0)
  readonly #hash = createHash('sha256')

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    if (this.#head.length < HEAD_BYTES) {
      this.#head = Buffer.concat([this.#head, bytes.subarray(0, HEAD_BYTES)]).subarray(
        0,
        HEAD_BYTES,
      )
    }
    this.bytes += bytes.length
  }

  /** Of what was added so far. */
  result(): Digest {
    return { bytes: this.bytes, sha256: this.#hash.copy().digest('hex'), head: this.#head }
  }
}

export const digestOf = (path: string): Promise<Digest> => digestOfAll(fileChunks(path))

export async function digestOfAll(chunks: AsyncIterable<Buffer>): Promise<Digest> {
  const digest = new RunningDigest()
  for await (const bytes of chunks) digest.add(bytes)
  return digest.result()
}

export function fileChunks(path: string, signal?: AbortSignal): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) })
}
