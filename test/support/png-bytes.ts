// PNG files byte by byte, right and wrong, such as no encoder writes.

import { crc32, deflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** One chunk: length, type, data, CRC-32 of type and data; `crcChange` is added to the CRC. */
export function pngChunk(type: string, data: Uint8Array, crcChange = 0): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length, 0)
  body.copy(chunk, 4)
  chunk.writeUInt32BE((crc32(body) + crcChange) >>> 0, body.length + 4)
  return chunk
}

export interface PngHeader {
  width: number
  height: number
  /** Of a channel: 1, 2, 4, 8, 16. */
  bits?: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA. */
  colour?: number
  interlaced?: boolean
}

export function pngHeader(header: PngHeader, crcChange = 0): Buffer {
  const data = Buffer.alloc(13)
  data.writeUInt32BE(header.width, 0)
  data.writeUInt32BE(header.height, 4)
  data.set([header.bits ?? 8, header.colour ?? 2, 0, 0, header.interlaced ? 1 : 0], 8)
  return pngChunk('IHDR', data, crcChange)
}

export const pngEnd = pngChunk('IEND', new Uint8Array())

export function png(...chunks: Buffer[]): Buffer {
  return Buffer.concat([SIGNATURE, ...chunks])
}

/** Rows of a filter byte and `rowBytes` zero bytes each, compressed: the data of an IDAT chunk. */
export function blackRows(rows: number, rowBytes: number): Buffer {
  return deflateSync(Buffer.alloc(rows * (rowBytes + 1)))
}
