// The only file that imports sharp: image files to pixels and back. Pixels are u8 RGB, row-major
// [height, width, 3], the same as PIL's `Image.open(path).convert('RGB')`: EXIF orientation and
// colour profiles are left alone, CMYK is inverted without a profile, a grey image gets three equal
// channels, alpha is dropped, and so is the lower byte of 16 bits.

import { readFile, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import sharp, { type Sharp } from 'sharp'
import { native } from './binding.js'
import { McLossError } from './errors.js'

sharp.cache(false) // a training image is read once an epoch
sharp.concurrency(1) // images run beside each other, not threads within an image

const MAX_PIXELS = 50_000_000
const MAX_BYTES = 512 * 2 ** 20
const PIXELS_A_TURN = 200_000 // converted before the event loop gets its turn, 1-2 ms

export interface Image {
  /** [height, width, 3] */
  pixels: Uint8Array
  width: number
  height: number
}

/**
 * Decodes a JPEG, PNG or WebP file at its full resolution, off the event loop. The content decides
 * the format, not the name. At most 50 megapixels; an animated file gives its first frame.
 *
 * @throws McLossError E_IMAGE naming the file: not there, not an image of these formats, cut short.
 */
export async function decode(path: string): Promise<Image> {
  const bytes = await readImage(path)
  const options = { failOn: 'error', limitInputPixels: MAX_PIXELS, ignoreIcc: true } as const
  try {
    if (jpegChannels(bytes) === 4) return await decodeCmyk(sharp(bytes, options))
    return await imageOf(sharp(bytes, options).removeAlpha().toColourspace('srgb'))
  } catch (cause) {
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ')
    throw unusable(path, `cannot be decoded (${reason})`, cause)
  }
}

/**
 * Decodes a sample's file, cuts `cropBottom` rows off its bottom and resizes it to [height, width]
 * (bilinear, antialiased) into `out`, a view of height * width * 3 bytes. An image that has the size
 * is copied as it is.
 *
 * @throws McLossError E_IMAGE as decode, or where the cut leaves nothing; E_NATIVE_LOAD where a resize needs the add-on and it is
 * not built.
 */
export async function decodeTo(
  { path, cropBottom = 0 }: { path: string; cropBottom?: number },
  [outHeight, outWidth]: readonly [number, number],
  out: Uint8Array,
): Promise<void> {
  const image = await decode(path)
  const { width } = image
  const height = image.height - cropBottom
  if (height < 1) {
    throw new McLossError(
      'E_IMAGE',
      `images: expected an image of more than ${cropBottom} rows, which are cut off its bottom, but ` +
        `${path} has ${image.height}. Replace the file, or take it out of the data set.`,
    )
  }
  const pixels = image.pixels.subarray(0, height * width * 3)
  if (height === outHeight && width === outWidth) out.set(pixels)
  else await native().resize({ pixels, height, width, out, outHeight, outWidth })
}

/** Draws an SVG document of its own size over black. */
export async function renderSvg(svg: string): Promise<Image> {
  return imageOf(sharp(Buffer.from(svg)).flatten({ background: '#000' }).toColourspace('srgb'))
}

/** JPEG with full-resolution colour, so that small coloured parts survive. quality: 1..100. */
export function encodeJpeg({ pixels, width, height }: Image, quality: number): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

/** A one-channel PNG of [height, width] bytes. */
export function encodeGreyPng(grey: Uint8Array, width: number, height: number): Promise<Buffer> {
  return sharp(grey, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer()
}

async function imageOf(pipeline: Sharp): Promise<Image> {
  const { data, info } = await pipeline
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return { pixels: data, width: info.width, height: info.height }
}

async function readImage(path: string): Promise<Buffer> {
  const unreadable = (cause: NodeJS.ErrnoException) => {
    throw unusable(path, `cannot be read (${cause.code})`, cause)
  }
  const info = await stat(path).catch(unreadable)
  if (!info.isFile()) throw unusable(path, info.isDirectory() ? 'is a folder' : 'is not a file')
  if (info.size === 0) throw unusable(path, 'is empty')
  if (info.size > MAX_BYTES) throw unusable(path, `has more than ${MAX_BYTES} bytes`)
  const bytes = await readFile(path).catch(unreadable)
  if (!isKnownFormat(bytes)) throw unusable(path, 'is of another format')
  return bytes
}

function unusable(path: string, what: string, cause?: unknown): McLossError {
  return new McLossError(
    'E_IMAGE',
    `images: expected a complete JPEG, PNG or WebP file of at most 50 megapixels, but ${path} ` +
      `${what}. Replace the file, or take it out of the data set.`,
    { cause },
  )
}

function isKnownFormat(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, 12)
  return (
    start.startsWith('\xff\xd8\xff') ||
    start.startsWith('\x89PNG\r\n\x1a\n') ||
    (start.startsWith('RIFF') && start.endsWith('WEBP'))
  )
}

/** The channels a JPEG's frame header declares; 0 for other files or without a frame header. */
function jpegChannels(bytes: Buffer): number {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return 0
  let at = 2
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return bytes[at + 9] as number
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2)
  }
  return 0
}

/** Four inks to RGB as PIL: (255 - ink) scaled by (255 - black). */
async function decodeCmyk(pipeline: Sharp): Promise<Image> {
  const inks = await imageOf(pipeline.pipelineColourspace('cmyk').toColourspace('cmyk'))
  const pixels = new Uint8Array(inks.width * inks.height * 3)
  for (let pixel = 0; pixel * 3 < pixels.length; pixel++) {
    if (pixel % PIXELS_A_TURN === PIXELS_A_TURN - 1) await setImmediate()
    const light = 255 - (inks.pixels[pixel * 4 + 3] as number)
    for (let channel = 0; channel < 3; channel++) {
      const ink = inks.pixels[pixel * 4 + channel] as number
      pixels[pixel * 3 + channel] = Math.round(((255 - ink) * light) / 255)
    }
  }
  return { pixels, width: inks.width, height: inks.height }
}
