// What an image file declares before it is decoded, found by walking its segments or chunks as the
// decoders do: bytes inside a segment and behind the image's end count for nothing.

const START_OF_SCAN = 0xda
const END_OF_IMAGE = 0xd9

export interface JpegHeader {
  /** 0 for a file without a frame header. */
  channels: number
  /** Passes over the picture; counting ends with the first one past `mostScans`. */
  scans: number
  /** Progressive, or a scan per channel: a decoder keeps the whole picture's coefficients. */
  isKept: boolean
}

/** Undefined for a file that is no JPEG. */
export function jpegHeader(bytes: Buffer, mostScans: number): JpegHeader | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined
  const header = { channels: 0, scans: 0, isKept: false }
  for (const { marker, at } of jpegSegments(bytes)) {
    if (isFrame(marker)) {
      header.channels = bytes[at + 7] ?? 0
      header.isKept = marker === 0xc2 || marker === 0xca
    }
    if (marker !== START_OF_SCAN) continue
    header.isKept ||= bytes[at + 2] !== header.channels
    header.scans++
    if (!header.isKept || header.scans > mostScans) break
  }
  return header
}

const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)

/** The markers of a JPEG to the end of its image, each with where its segment's length stands. */
function* jpegSegments(bytes: Buffer): Generator<{ marker: number; at: number }> {
  for (let at = 2; at < bytes.length; ) {
    if (bytes[at++] !== 0xff) continue // compressed data, or bytes that libjpeg skips too
    while (bytes[at] === 0xff) at++
    const marker = bytes[at++] ?? END_OF_IMAGE
    if (marker === END_OF_IMAGE) return
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8)) continue // these have no segment
    yield { marker, at }
    at += at + 2 > bytes.length ? 2 : Math.max(2, bytes.readUInt16BE(at))
  }
}

/** Whether a PNG has 16 bits a channel and is interlaced. Its header need not be its first chunk. */
export function isDeepInterlacedPng(bytes: Buffer): boolean {
  if (bytes[0] !== 0x89) return false
  for (let at = 8; at + 21 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) !== 'IHDR') continue
    return bytes[at + 16] === 16 && bytes[at + 20] === 1
  }
  return false
}
