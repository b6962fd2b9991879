// Image files that are broken, hostile or only odd, each with what lib/data/images.ts must make of it.
// Generated, so that every test can have its own; see bad-images.test.ts.

import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { blackRows, png, pngChunk, pngEnd, pngHeader } from './png-bytes.js'

/** The size it decodes to, or the code of the error. */
export type Outcome = { width: number; height: number } | 'E_IMAGE'

export interface BadImage {
  path: string
  outcome: Outcome
}

const WIDTH = 96
const HEIGHT = 64
const whole: Outcome = { width: WIDTH, height: HEIGHT }

/** Uneven in every block, so that no part of the compressed data is idle. */
function drawing(channels: 1 | 3 | 4, frame = 0) {
  const bytes = Uint8Array.from({ length: WIDTH * HEIGHT * channels }, (_, at) => {
    const pixel = Math.floor(at / channels)
    return (pixel * 7 + (pixel >> 5) * (at % channels) * 13 + ((pixel * pixel) >> 7) + frame) & 255
  })
  return sharp(bytes, { raw: { width: WIDTH, height: HEIGHT, channels } })
}

/**
 * Writes 60 and more files into an existing folder.
 *
 * @returns their paths in the order of their names, with what decoding each must give.
 */
export async function writeBadImages(folder: string): Promise<BadImage[]> {
  const written: BadImage[] = []
  const put = async (name: string, bytes: Uint8Array | string, outcome: Outcome) => {
    await writeFile(join(folder, name), bytes)
    written.push({ path: join(folder, name), outcome })
  }
  for (const [name, bytes, outcome] of [
    ...(await truncated()),
    ...(await bombs()),
    ...wrongPngs(),
    ...wrongJpegs(await drawing(3).jpeg().toBuffer()),
    ...(await odd()),
    ...(await otherFormats()),
  ]) {
    await put(name, bytes, outcome)
  }
  const noFile = async (name: string, make: (path: string) => Promise<unknown>) => {
    await make(join(folder, name))
    written.push({ path: join(folder, name), outcome: 'E_IMAGE' })
  }
  await noFile('folder.jpg', (path) => mkdir(path))
  await noFile('dangling-link.jpg', (path) => symlink('nothing-here', path))
  await noFile('link-loop.jpg', (path) => symlink('link-loop.jpg', path))
  await noFile('endless-device.jpg', (path) => symlink('/dev/zero', path))
  await noFile('pipe.jpg', async (path) => execFileSync('mkfifo', [path]))
  return written.sort((a, b) => (a.path < b.path ? -1 : 1))
}

type File = [name: string, bytes: Uint8Array | string, outcome: Outcome]

/** 20 cuts of a JPEG, the last a byte before its end marker; some of the other formats. */
async function truncated(): Promise<File[]> {
  const cut = (kind: string, bytes: Buffer, parts: number): File[] =>
    Array.from({ length: parts }, (_, at) => {
      const length = Math.round(2 + ((bytes.length - 5) * at) / (parts - 1))
      const name = `truncated-${String(at).padStart(2, '0')}-of-${parts}.${kind}`
      return [name, bytes.subarray(0, length), 'E_IMAGE']
    })
  return [
    ...cut('jpg', await drawing(3).jpeg().toBuffer(), 20),
    ...cut('progressive.jpg', await drawing(3).jpeg({ progressive: true }).toBuffer(), 4),
    ...cut('cmyk.jpg', await drawing(4).toColourspace('cmyk').jpeg().toBuffer(), 3),
    ...cut('png', (await drawing(3).png().toBuffer()).subarray(0, -12), 5),
    ...cut('interlaced.png', (await interlaced()).subarray(0, -12), 3),
    ...cut('webp', await drawing(3).webp().toBuffer(), 5),
    ...cut('lossless.webp', await drawing(3).webp({ lossless: true }).toBuffer(), 3),
  ]
}

const interlaced = () => drawing(3).png({ progressive: true }).toBuffer()

/** Small files that declare, or unpack to, very much. */
async function bombs(): Promise<File[]> {
  const jpeg = await drawing(3).jpeg().toBuffer()
  const inks = await drawing(4).toColourspace('cmyk').jpeg({ progressive: true }).toBuffer()
  const flatInks = await drawing(4).toColourspace('cmyk').jpeg().toBuffer()
  const inkByInk = inScans(flatInks, 4, 4)
  const behind = pngChunk('aaAa', Buffer.alloc(0)) // a decoder skips it
  const side = 30_000
  const grey = { bits: 1, colour: 0 }
  const rows = pngChunk('IDAT', blackRows(side, side / 8))
  const allowed = 7_000 // 49 megapixels
  const megapixels25 = { width: 5000, height: 5000 }
  const deep = (pixels: number) =>
    pngHeader({ width: pixels, height: pixels, bits: 16, colour: 6, interlaced: true })
  const megapixels49 = { width: allowed, height: allowed }
  const text = Buffer.concat([Buffer.from('t\0\0'), deflateSync(Buffer.alloc(200 * 2 ** 20))])
  const profile = Buffer.concat([Buffer.from('p\0\0'), deflateSync(Buffer.alloc(200 * 2 ** 20))])
  const small = [pngHeader({ width: 8, height: 8 }), pngChunk('IDAT', blackRows(8, 24)), pngEnd]
  const [header, ...rest] = small as [Buffer, Buffer, Buffer]
  return [
    ['bomb.png', png(pngHeader({ width: side, height: side, ...grey }), rows, pngEnd), 'E_IMAGE'],
    ['bomb.jpg', withJpegSize(jpeg, side, side), 'E_IMAGE'],
    ['bomb.webp', webpDeclaring(16_383, 16_383), 'E_IMAGE'],
    [
      '49-megapixels.png',
      png(
        pngHeader({ width: allowed, height: allowed, ...grey }),
        pngChunk('IDAT', blackRows(allowed, allowed / 8)),
        pngEnd,
      ),
      megapixels49,
    ],
    ['49-megapixels-progressive-cmyk.jpg', withJpegSize(inks, allowed, allowed), 'E_IMAGE'],
    ['25-megapixels-progressive-cmyk.jpg', withJpegSize(inks, 5000, 5000), megapixels25],
    ['49-megapixels-cmyk.jpg', withJpegSize(flatInks, allowed, allowed), megapixels49],
    ['49-megapixels-16-bit-interlaced.png', png(deep(allowed), rows, pngEnd), 'E_IMAGE'],
    [
      '49-megapixels-16-bit-interlaced-behind.png',
      png(behind, deep(allowed), rows, pngEnd),
      'E_IMAGE',
    ],
    ['49-megapixels-cmyk-scan-per-ink.jpg', withJpegSize(inkByInk, allowed, allowed), 'E_IMAGE'],
    ['25-megapixels-cmyk-scan-per-ink.jpg', withJpegSize(inkByInk, 5000, 5000), megapixels25],
    ['bomb-scans.jpg', await manyScans(allowed / 2, 16_000), 'E_IMAGE'],
    ['bomb-scans-of-a-channel.jpg', inScans(jpeg, 3, 101), 'E_IMAGE'],
    ['bomb-scans-behind-bytes.jpg', bytesBeforeFrame(await manyScans(200, 200)), 'E_IMAGE'],
    ['bomb-text.png', png(header, pngChunk('zTXt', text), ...rest), { width: 8, height: 8 }],
    ['bomb-profile.png', png(header, pngChunk('iCCP', profile), ...rest), { width: 8, height: 8 }],
  ]
}

/** One and a half megabytes that keep a decoder busy for half a minute: each scan goes over every block. */
async function manyScans(side: number, scans: number): Promise<Buffer> {
  const background = { r: 20, g: 40, b: 60 }
  const flat = sharp({ create: { width: side, height: side, channels: 3, background } })
  const jpeg = await flat.jpeg({ progressive: true }).toBuffer()
  const starts: number[] = []
  for (let at = 0; at >= 0; at = jpeg.indexOf(Buffer.from([0xff, 0xda]), at + 2)) starts.push(at)
  const [, , first = 0, second = 0] = starts // the first scan without the blocks' means
  const scan = Buffer.from(jpeg.subarray(first, second))
  scan.set([1, 63, 0], 7) // of one component: coefficients 1..63, all bits at once
  const all = Array.from({ length: scans }, () => scan)
  return Buffer.concat([jpeg.subarray(0, first), ...all, jpeg.subarray(-2)])
}

/** A baseline JPEG's picture replaced by `scans` empty ones, each of the next of its channels. */
function inScans(jpeg: Buffer, channels: number, scans: number): Buffer {
  const starts = Array.from({ length: scans }, (_, at) => {
    const component = jpeg[jpeg.indexOf(Buffer.from([0xff, 0xc0])) + 10 + 3 * (at % channels)]
    return Buffer.from([0xff, 0xda, 0, 8, 1, component ?? 0, 0, 0, 63, 0])
  })
  const first = jpeg.indexOf(Buffer.from([0xff, 0xda]))
  return Buffer.concat([jpeg.subarray(0, first), ...starts, jpeg.subarray(-2)])
}

/** Decoders skip bytes between segments. */
function bytesBeforeFrame(jpeg: Buffer): Buffer {
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc2]))
  return Buffer.concat([jpeg.subarray(0, frame), Buffer.alloc(3), jpeg.subarray(frame)])
}

/** The frame header's height and width replaced. */
function withJpegSize(jpeg: Buffer, width: number, height: number): Buffer {
  const bytes = Buffer.from(jpeg)
  const frame = Math.max(...[0xc0, 0xc2].map((kind) => bytes.indexOf(Buffer.from([0xff, kind]))))
  bytes.writeUInt16BE(height, frame + 5)
  bytes.writeUInt16BE(width, frame + 7)
  return bytes
}

/** A lossless WebP of a header alone: 14 bits of width - 1, 14 of height - 1. */
function webpDeclaring(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.write('RIFF', 0, 'latin1')
  bytes.writeUInt32LE(bytes.length - 8, 4)
  bytes.write('WEBPVP8L', 8, 'latin1')
  bytes.writeUInt32LE(bytes.length - 20, 16)
  bytes[20] = 0x2f
  bytes.writeUInt32LE((width - 1) | ((height - 1) << 14), 21)
  return bytes
}

function wrongPngs(): File[] {
  const size = { width: 8, height: 8 }
  const header = pngHeader(size)
  const data = blackRows(8, 24)
  const pixels = pngChunk('IDAT', data)
  const palette = pngHeader({ ...size, colour: 3 })
  const indices = pngChunk('IDAT', blackRows(8, 8))
  const sizeless = (width: number, height: number) =>
    png(pngHeader({ width, height }), pixels, pngEnd)
  return [
    ['png-signature-alone.png', png(), 'E_IMAGE'],
    ['png-wrong-header-crc.png', png(pngHeader(size, 1), pixels, pngEnd), 'E_IMAGE'],
    ['png-wrong-data-crc.png', png(header, pngChunk('IDAT', data, 1), pngEnd), 'E_IMAGE'],
    ['png-width-0.png', sizeless(0, 8), 'E_IMAGE'],
    ['png-height-0.png', sizeless(8, 0), 'E_IMAGE'],
    ['png-width-2-31.png', sizeless(2 ** 31, 8), 'E_IMAGE'],
    ['png-no-data.png', png(header, pngEnd), 'E_IMAGE'],
    ['png-no-palette.png', png(palette, indices, pngEnd), 'E_IMAGE'],
    ['png-few-rows.png', png(header, pngChunk('IDAT', blackRows(3, 24)), pngEnd), 'E_IMAGE'],
    ['png-no-stream.png', png(header, pngChunk('IDAT', Buffer.alloc(50, 7)), pngEnd), 'E_IMAGE'],
    ['png-3-bits.png', png(pngHeader({ ...size, bits: 3 }), pixels, pngEnd), 'E_IMAGE'],
    ['png-chunk-too-long.png', longChunk(png(header, pixels, pngEnd)), 'E_IMAGE'],
  ]
}

/** The first chunk's length set to almost 2^31. */
function longChunk(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(0x7fff_fff0, 8)
  return bytes
}

function wrongJpegs(jpeg: Buffer): File[] {
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(jpeg)
    bytes[frame + at] = value
    return bytes
  }
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]))
  const twiceAsTall = { width: WIDTH, height: 2 * HEIGHT } // the lower half grey, as PIL
  return [
    ['jpeg-width-0.jpg', withJpegSize(jpeg, 0, HEIGHT), 'E_IMAGE'],
    ['jpeg-height-0.jpg', withJpegSize(jpeg, WIDTH, 0), 'E_IMAGE'],
    ['jpeg-12-bits.jpg', changed(4, 12), 'E_IMAGE'],
    ['jpeg-9-channels.jpg', changed(9, 9), 'E_IMAGE'],
    ['jpeg-lossless.jpg', changed(1, 0xc3), 'E_IMAGE'],
    ['jpeg-no-scan.jpg', Buffer.concat([jpeg.subarray(0, scan), jpeg.subarray(-2)]), 'E_IMAGE'],
    ['jpeg-endless-markers.jpg', Buffer.alloc(100_000, 0xff).fill(0xd8, 1, 2), 'E_IMAGE'],
    ['jpeg-twice-as-tall.jpg', withJpegSize(jpeg, WIDTH, 2 * HEIGHT), twiceAsTall],
    ['jpeg-bytes-behind.jpg', Buffer.concat([jpeg, Buffer.alloc(5_000, 65)]), whole],
    ['jpeg-bytes-before.jpg', Buffer.concat([Buffer.from('\r\n'), jpeg]), 'E_IMAGE'],
  ]
}

/** Whole files that a careless reader takes for something else. */
async function odd(): Promise<File[]> {
  const frames = await Promise.all([0, 90].map((frame) => drawing(3, frame).png().toBuffer()))
  const progressive = await drawing(3).jpeg({ progressive: true }).toBuffer()
  const starts = Buffer.alloc(10_000_000).fill(Buffer.from([0xff, 0xda]))
  const segment = Buffer.concat([Buffer.from([0xff, 0xef, 0xff, 0xff]), starts.subarray(0, 65_533)])
  const sixteen = { width: 8, height: 8 }
  const rows16 = (channels: number) => pngChunk('IDAT', blackRows(8, 16 * channels))
  return [
    ['cmyk.jpg', await drawing(4).toColourspace('cmyk').jpeg().toBuffer(), whole],
    ['grey.jpg', await drawing(1).toColourspace('b-w').jpeg().toBuffer(), whole],
    ['palette.png', await drawing(3).png({ palette: true, colours: 16 }).toBuffer(), whole],
    ['alpha.png', await drawing(4).png().toBuffer(), whole],
    ['alpha.webp', await drawing(4).webp().toBuffer(), whole],
    ['interlaced.png', await interlaced(), whole],
    ['16-bit.png', png(pngHeader({ ...sixteen, bits: 16 }), rows16(3), pngEnd), sixteen],
    [
      '16-bit-grey-alpha.png',
      png(pngHeader({ ...sixteen, bits: 16, colour: 4 }), rows16(2), pngEnd),
      sixteen,
    ],
    [
      '1-pixel.png',
      png(pngHeader({ width: 1, height: 1 }), pngChunk('IDAT', blackRows(1, 3)), pngEnd),
      { width: 1, height: 1 },
    ],
    ['turned.jpg', await drawing(3).withMetadata({ orientation: 6 }).jpeg().toBuffer(), whole],
    [
      'animated.webp',
      await sharp(frames, { join: { animated: true } })
        .webp()
        .toBuffer(),
      whole,
    ],
    ['scans-behind.jpg', Buffer.concat([progressive, starts]), whole],
    [
      'scans-in-a-segment.jpg',
      Buffer.concat([progressive.subarray(0, 2), segment, progressive.subarray(2)]),
      whole,
    ],
    ['bytes-behind.png', Buffer.concat([await drawing(3).png().toBuffer(), starts]), whole],
    ['bytes-behind.webp', Buffer.concat([await drawing(3).webp().toBuffer(), starts]), whole],
    ['no-ending', await drawing(3).jpeg().toBuffer(), whole],
    ['png-named.jpg', await drawing(3).png().toBuffer(), whole],
  ]
}

async function otherFormats(): Promise<File[]> {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
  const bmp = Buffer.alloc(58)
  bmp.write('BM', 0, 'latin1')
  for (const [at, value] of [
    [2, 58],
    [10, 54],
    [14, 40],
    [18, 1],
    [22, 1],
  ] as const) {
    bmp.writeUInt32LE(value, at)
  }
  bmp.set([1, 0, 24, 0], 26)
  return [
    ['svg.jpg', svg, 'E_IMAGE'],
    ['gif.jpg', await drawing(3).gif().toBuffer(), 'E_IMAGE'],
    ['tiff.jpg', await drawing(3).tiff().toBuffer(), 'E_IMAGE'],
    ['avif.jpg', await drawing(3).avif().toBuffer(), 'E_IMAGE'],
    ['bmp.jpg', bmp, 'E_IMAGE'],
    ['html.jpg', '<!DOCTYPE html><title>404 Not Found</title>', 'E_IMAGE'],
    ['pdf.jpg', '%PDF-1.7\n1 0 obj\n<<>>\nendobj\n', 'E_IMAGE'],
    ['git-lfs.jpg', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'E_IMAGE'],
    ['zeros.jpg', new Uint8Array(1000), 'E_IMAGE'],
    ['empty.jpg', '', 'E_IMAGE'],
    ['1-byte.jpg', Uint8Array.of(0xff), 'E_IMAGE'],
    ['jpeg-signature-alone.jpg', Uint8Array.of(0xff, 0xd8, 0xff), 'E_IMAGE'],
    ['riff-that-is-sound.webp', 'RIFF\x24\0\0\0WAVEfmt ', 'E_IMAGE'],
  ]
}
