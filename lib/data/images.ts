// The only file that imports sharp: image files to pixels and back. Pixels are u8 RGB, row-major
// [height, width, 3], the same as PIL's `Image.open(path).convert('RGB')`: EXIF orientation and
// colour profiles are left alone, CMYK is inverted without a profile, a grey image gets three equal
// channels, alpha is dropped, and so is the lower byte of 16 bits.

import { webcrypto } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Sharp } from 'sharp'
import { native } from '../binding.js'
import { McLossError, reasonOf } from '../errors.js'
import type { Sample } from './batch.js'
import { MAX_PIXELS, readImage, requireFormat, requireSize, unusable } from './image-file.js'
import { isDeepInterlacedPng, jpegHeader } from './image-headers.js'

const MAX_PIXELS_HELD_TWICE = 25_000_000 // keeps every file below 500 MB while it is decoded
const MAX_SCANS = 100 // a progressive JPEG has 10 or so; each is a pass over the whole picture
const PIXELS_A_TURN = 200_000 // converted before the event loop gets its turn, 1-2 ms

let loading: ReturnType<typeof importSharp> | undefined

/** sharp, on first use: what reads no image works without its binary. */
function loadSharp() {
  loading ??= importSharp()
  return loading
}

async function importSharp() {
  const { default: sharp } = await import('sharp').catch((cause) => {
    throw new McLossError(
      'E_SETUP',
      `images: sharp, which decodes images, does not load: ${reasonOf(cause).split('\n')[0]}. Its ` +
        'binary is an optional package for one system: npm leaves it out with --omit=optional, and ' +
        'a copied node_modules has that of another system. Run: ' +
        'npm install --include=optional --os=linux --cpu=x64 sharp',
      { cause },
    )
  })
  sharp.cache(false) // a training image is read once an epoch
  sharp.concurrency(1) // images run beside each other, not threads within an image
  return sharp
}

/** @throws McLossError E_SETUP where sharp does not load. */
export async function decoderVersion(): Promise<string> {
  const { sharp: version, vips } = (await loadSharp()).versions
  return `sharp ${version}, vips ${vips}`
}

/** The programs that decide a decoded image's pixels. */
export async function decoderName(): Promise<string> {
  return `${await decoderVersion()}, LibTorch ${native().buildInfo().libtorch}`
}

export interface Image {
  /** [height, width, 3] */
  pixels: Uint8Array
  width: number
  height: number
}

/**
 * Decodes a JPEG, PNG or WebP file at its full resolution, off the event loop. The content decides
 * the format, not the name. At most 50 megapixels, 25 in CMYK of several scans or interlaced 16 bits;
 * an animated file gives its first frame.
 *
 * @throws McLossError E_IMAGE naming the file: not there, not an image of these formats, cut short.
 * Its cause's message is the reason without the file's name.
 */
export async function decode(path: string): Promise<Image> {
  return decodeBytes(path, await readImage(path))
}

/** What an image file holds, as it is stored. */
export interface ImageInfo {
  /** Pixels. */
  width: number
  height: number
  colour: 'rgb' | 'grey' | 'cmyk'
  alpha: boolean
  /** Of a channel of a pixel; 16 for a 16-bit PNG. */
  bits: 8 | 16
  /** What a decoder warns of: the file decodes, but some of its pixels may not be what was saved. */
  damage?: string
  /** Of the file's bytes, hexadecimal. */
  sha256: string
}

/** What there is to decode of a sample: its file, without `cropBottom` rows at the bottom. */
export type Picture = Pick<Sample, 'path' | 'cropBottom'> & {
  /** The file's bytes, or its pixels: nothing is read then, and `path` is its name in messages. */
  content?: Uint8Array | Image
}

/**
 * Reads a sample's file once and decodes all of it, as `decode` does, to tell what it holds.
 *
 * @throws McLossError E_IMAGE as decodeTo.
 */
export async function describe({ path, cropBottom }: Omit<Picture, 'content'>): Promise<ImageInfo> {
  const bytes = await readImage(path)
  let damage: string | undefined
  const { width, height } = await decodeBytes(path, bytes, 'warning').catch(async (warning) => {
    const image = await decodeBytes(path, bytes)
    damage = (warning.cause as Error).message
    return image
  })
  rowsLeft(path, height, cropBottom)
  const sharp = await loadSharp()
  const { space, depth, hasAlpha } = await sharp(bytes).metadata()
  const hash = await webcrypto.subtle.digest('SHA-256', bytes)
  return {
    width,
    height,
    colour: space === 'cmyk' ? 'cmyk' : space === 'b-w' || space === 'grey16' ? 'grey' : 'rgb',
    alpha: hasAlpha,
    bits: depth === 'ushort' ? 16 : 8,
    ...(damage !== undefined && { damage }),
    sha256: Buffer.from(hash).toString('hex'),
  }
}

/**
 * Decodes a sample's file, cuts `cropBottom` rows off its bottom and resizes it to [height, width]
 * (bilinear, antialiased) into `out`, a view of height * width * 3 bytes. An image that has the size
 * is copied as it is.
 *
 * @throws McLossError E_IMAGE as decode, or where the cut leaves nothing; E_NATIVE_LOAD where a
 * resize needs the add-on and it is not built.
 */
export async function decodeTo(
  { path, cropBottom, content }: Picture,
  [outHeight, outWidth]: readonly [number, number],
  out: Uint8Array,
): Promise<void> {
  const image = await imageIn(path, content)
  const { width } = image
  const height = rowsLeft(path, image.height, cropBottom)
  const pixels = image.pixels.subarray(0, height * width * 3)
  if (height === outHeight && width === outWidth) out.set(pixels)
  else await native().resize({ pixels, height, width, out, outHeight, outWidth })
}

async function imageIn(path: string, content: Picture['content']): Promise<Image> {
  if (content === undefined) return decode(path)
  if (!(content instanceof Uint8Array)) return content
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  requireSize(path, bytes.length)
  requireFormat(path, bytes)
  return decodeBytes(path, bytes)
}

function rowsLeft(path: string, height: number, cropBottom = 0): number {
  if (height > cropBottom) return height - cropBottom
  const cause = new Error(`has ${height} rows, of which ${cropBottom} are cut off its bottom`)
  throw new McLossError(
    'E_IMAGE',
    `images: expected an image of more than ${cropBottom} rows, which are cut off its bottom, but ` +
      `${path} has ${height}. Replace the file, or take it out of the data set.`,
    { cause },
  )
}

/** Draws an SVG document of its own size over black. */
export async function renderSvg(svg: string): Promise<Image> {
  const sharp = await loadSharp()
  return imageOf(sharp(Buffer.from(svg)).flatten({ background: '#000' }).toColourspace('srgb'))
}

/** As it is where neither side is longer than `side`, else smaller, its shape kept. */
export async function shrink({ pixels, width, height }: Image, side: number): Promise<Image> {
  if (Math.max(width, height) <= side) return { pixels, width, height }
  const sharp = await loadSharp()
  const image = sharp(pixels, { raw: { width, height, channels: 3 } })
  return imageOf(image.resize({ width: side, height: side, fit: 'inside' }))
}

/** JPEG with full-resolution colour, so that small coloured parts survive. quality: 1..100. */
export async function encodeJpeg(
  { pixels, width, height }: Image,
  quality: number,
): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

export async function encodePng({ pixels, width, height }: Image): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

/** A one-channel PNG of [height, width] bytes. */
export async function encodeGreyPng(
  grey: Uint8Array,
  width: number,
  height: number,
): Promise<Buffer> {
  const sharp = await loadSharp()
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

/**
 * libvips has one text of errors for all threads, and the end of any image's decoding empties it: a
 * failure that has lost its reason is asked for again.
 */
async function withReason<T>(attempt: () => Promise<T>, left = 5): Promise<T> {
  try {
    return await attempt()
  } catch (cause) {
    if (left === 1 || reasonOf(cause).trim() !== 'Unknown error') throw cause
    return withReason(attempt, left - 1)
  }
}

/** Where the data ends early but in order, failOn 'error' leaves the rest of a JPEG grey, as PIL. */
async function decodeBytes(
  path: string,
  bytes: Buffer,
  failOn: 'error' | 'warning' = 'error',
): Promise<Image> {
  const jpeg = jpegHeader(bytes, MAX_SCANS)
  if (jpeg && jpeg.scans > MAX_SCANS) throw unusable(path, `has more than ${MAX_SCANS} scans`)
  const isCmyk = jpeg?.channels === 4
  const isHeldTwice = (isCmyk && jpeg.isKept) || isDeepInterlacedPng(bytes)
  const limitInputPixels = isHeldTwice ? MAX_PIXELS_HELD_TWICE : MAX_PIXELS
  const options = { failOn, limitInputPixels, ignoreIcc: true } as const
  const sharp = await loadSharp()
  const attempt = () =>
    isCmyk
      ? decodeCmyk(sharp(bytes, options))
      : imageOf(sharp(bytes, options).removeAlpha().toColourspace('srgb'))
  try {
    return await withReason(attempt)
  } catch (cause) {
    const lines = reasonOf(cause).split('\n')
    const reason = [...new Set(lines.map((line) => line.trim()))].join(' ').trim()
    throw unusable(path, `cannot be decoded (${reason})`, cause, limitInputPixels)
  }
}

/** Four inks to RGB as PIL: (255 - ink) scaled by (255 - black); in place, it can be 200 MB. */
async function decodeCmyk(pipeline: Sharp): Promise<Image> {
  const { pixels, width, height } = await imageOf(
    pipeline.pipelineColourspace('cmyk').toColourspace('cmyk'),
  )
  const area = width * height
  for (let pixel = 0; pixel < area; pixel++) {
    if (pixel % PIXELS_A_TURN === PIXELS_A_TURN - 1) await setImmediate()
    const light = 255 - (pixels[pixel * 4 + 3] as number)
    for (let channel = 0; channel < 3; channel++) {
      const ink = pixels[pixel * 4 + channel] as number
      pixels[pixel * 3 + channel] = Math.round(((255 - ink) * light) / 255)
    }
  }
  return { pixels: pixels.subarray(0, area * 3), width, height }
}
