import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, describe, expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { decode, decodeTo, encodeGreyPng, encodeJpeg, renderSvg } from '../../../lib/data/images.js'
import { fixtureLines } from '../../support/fixture-lines.js'
import { temporaryFolder } from '../../support/folders.js'

const folder = join(import.meta.dirname, '../../fixtures', 'images')
const scratch = mkdtempSync(join(tmpdir(), 'mcloss-images-'))
afterAll(() => rmSync(scratch, { recursive: true }))

interface Case {
  file: string
  height: number
  width: number
  offset: number
  resize?: [number, number]
  window?: [number, number, number]
}
interface WindowCase extends Case {
  resize: [number, number]
  window: [number, number, number]
}

const cases = fixtureLines<Case>('images/expected.jsonl')
const expected = readFileSync(join(folder, 'expected.bin'))
const pilPixels = ({ offset, height, width }: Case) =>
  expected.subarray(offset, offset + height * width * 3)
const isWindowed = (one: Case): one is WindowCase => one.window !== undefined
const windowed = cases.filter(isWindowed)
const whole = cases.filter((one) => !isWindowed(one))

function wholeCase(name: string): Case {
  const found = whole.find(({ file }) => file === name)
  if (!found) throw new Error(`no case ${name}`)
  return found
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length)
  return Math.max(...Array.from(a, (value, at) => Math.abs(value - (b[at] as number))))
}

/** The step's pixels [count, 3, h, w] of one image, given back as [h, w, 3]. */
async function cropped(
  one: WindowCase,
  mean: readonly number[],
  std: readonly number[],
): Promise<Float64Array> {
  const [height, width] = one.resize
  const pixels = new Uint8Array(height * width * 3)
  await decodeTo({ path: join(folder, one.file) }, one.resize, pixels)
  const { height: outHeight, width: outWidth } = one
  const planes = await native().gatherAugment(
    { pixels, count: 1, height, width, windows: Int32Array.from(one.window) },
    { outHeight, outWidth, mean: [...mean], std: [...std] },
  )
  const area = outHeight * outWidth
  return Float64Array.from(planes, (_, at) => planes[(at % 3) * area + Math.floor(at / 3)] ?? NaN)
}

describe('pixels equal PIL', () => {
  test.each(whole)('decode $file', async (one) => {
    const { pixels, height, width } = await decode(join(folder, one.file))
    expect([height, width]).toEqual([one.height, one.width])
    expect(furthest(pixels, pilPixels(one))).toBeLessThanOrEqual(1)
  })

  test('the files differ where the decoder could go wrong', async () => {
    const pixelsOf = (file: string) => pilPixels(wholeCase(file))
    expect(furthest(pixelsOf('420.jpg'), pixelsOf('444.jpg'))).toBeGreaterThan(20)
    const rgb = pixelsOf('rgb.png')
    for (const file of ['rgba.png', 'lossless-alpha.webp', 'animated.png', 'animated.webp']) {
      expect(furthest(pixelsOf(file), rgb), file).toBe(0)
    }
    // What sharp makes of the profile where it is applied.
    const { data } = await sharp(join(folder, 'profile.jpg'))
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    expect(furthest(data, pixelsOf('profile.jpg'))).toBeGreaterThan(20)
  })

  test.each(windowed)('decode, resize, crop, flip: $file $resize $window', async (one) => {
    const levels = (await cropped(one, [0, 0, 0], [1, 1, 1])).map((value) => value * 255)
    expect(furthest(levels, pilPixels(one))).toBeLessThanOrEqual(1 + 1e-3)
  })

  test.each(windowed)('normalise after it: $file $resize $window', async (one) => {
    const mean = [0.485, 0.456, 0.406] as const
    const std = [0.229, 0.224, 0.225] as const
    const plain = await cropped(one, [0, 0, 0], [1, 1, 1])
    // Back to the exact level, so that only the normalisation is held against the formula.
    const normalise = (level: number, channel: 0 | 1 | 2) =>
      (level / 255 - mean[channel]) / std[channel]
    const exact = plain.map((value, at) =>
      normalise(Math.round(value * 255), (at % 3) as 0 | 1 | 2),
    )
    expect(furthest(await cropped(one, mean, std), exact)).toBeLessThan(1e-6)
  })
})

test('bytes between segments, which decoders skip, hide no inks', async () => {
  const cmyk = await readFile(join(folder, 'cmyk.jpg'))
  const frame = cmyk.indexOf(Buffer.from([0xff, 0xc0]))
  const path = join(scratch, 'bytes-between.jpg')
  await writeFile(
    path,
    Buffer.concat([cmyk.subarray(0, frame), Buffer.alloc(3), cmyk.subarray(frame)]),
  )
  const { pixels } = await decode(path)
  expect(furthest(pixels, pilPixels(wholeCase('cmyk.jpg')))).toBeLessThanOrEqual(1)
})

describe('decodeTo', () => {
  test('copies an image that has the size and writes only into its view', async () => {
    const one = wholeCase('rgb.png')
    const bytes = one.height * one.width * 3
    const buffer = new Uint8Array(bytes + 20).fill(7)
    const out = buffer.subarray(10, 10 + bytes)
    await decodeTo({ path: join(folder, one.file) }, [one.height, one.width], out)
    expect(Buffer.from(out).equals(pilPixels(one))).toBe(true)
    expect([...buffer.subarray(0, 10), ...buffer.subarray(-10)]).toEqual(Array(20).fill(7))
  })

  test('cuts the rows of a strip off the bottom before it resizes', async () => {
    const one = wholeCase('rgb.png')
    const path = join(folder, one.file)
    const kept = pilPixels(one).subarray(0, (one.height - 7) * one.width * 3)
    const out = new Uint8Array(kept.length)
    await decodeTo({ path, cropBottom: 7 }, [one.height - 7, one.width], out)
    expect(Buffer.from(out).equals(kept)).toBe(true)

    const cut = join(scratch, 'cut.png')
    await sharp(kept, { raw: { width: one.width, height: one.height - 7, channels: 3 } }).toFile(
      cut,
    )
    const [resized, expected] = [new Uint8Array(9 * 12 * 3), new Uint8Array(9 * 12 * 3)]
    await decodeTo({ path, cropBottom: 7 }, [9, 12], resized)
    await decodeTo({ path: cut }, [9, 12], expected)
    expect(resized).toEqual(expected)
  })

  test.each([0, 1])('refuses a strip %i rows higher than the image, naming it', async (more) => {
    const one = wholeCase('rgb.png')
    const sample = { path: join(folder, one.file), cropBottom: one.height + more }
    await expect(decodeTo(sample, [4, 4], new Uint8Array(48))).rejects.toMatchObject({
      code: 'E_IMAGE',
      message: expect.stringContaining('rgb.png'),
    })
  })
})

describe('files that cannot be used are E_IMAGE and named', () => {
  const half = async (name: string) => {
    const bytes = await readFile(join(folder, name))
    return bytes.subarray(0, Math.floor(bytes.length * 0.6))
  }
  const flipped = async (name: string) => {
    const bytes = await readFile(join(folder, name))
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = ~(bytes[middle] as number)
    return bytes
  }
  test.each([
    ['truncated.jpg', () => half('420.jpg')],
    ['truncated-cmyk.jpg', () => half('cmyk.jpg')],
    ['truncated-progressive.jpg', () => half('progressive.jpg')],
    ['truncated.png', () => half('rgb.png')],
    ['truncated.webp', () => half('lossy.webp')],
    ['damaged.png', () => flipped('rgb.png')],
    ['header-alone.jpg', async () => (await readFile(join(folder, '420.jpg'))).subarray(0, 30)],
    ['empty.jpg', async () => Buffer.alloc(0)],
    ['text.jpg', async () => Buffer.from('not an image, whatever its name says')],
    ['drawing.jpg', async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['moving.gif', async () => Buffer.from('GIF89a and so on')],
  ])('%s', async (name, content) => {
    const path = join(scratch, name)
    await writeFile(path, await content())
    await expect(decode(path)).rejects.toMatchObject({
      code: 'E_IMAGE',
      message: expect.stringContaining(path),
    })
  })

  test('a missing file and a folder', async () => {
    await mkdir(join(scratch, 'folder.jpg'))
    for (const path of [join(scratch, 'missing.jpg'), join(scratch, 'folder.jpg')]) {
      await expect(decode(path)).rejects.toMatchObject({
        code: 'E_IMAGE',
        message: expect.stringContaining(path),
      })
    }
  })
})

describe('encoders', () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="8">' +
    '<rect x="8" width="8" height="8" fill="rgb(200,40,90)"/></svg>'

  test('an SVG lies over black and comes back from JPEG nearly as it was', async () => {
    const image = await renderSvg(svg)
    expect([image.width, image.height]).toEqual([16, 8])
    expect([...image.pixels.subarray(0, 3)]).toEqual([0, 0, 0])
    expect([...image.pixels.subarray(45, 48)]).toEqual([200, 40, 90])
    const path = join(scratch, 'half.jpg')
    await writeFile(path, await encodeJpeg(image, 95))
    expect(furthest((await decode(path)).pixels, image.pixels)).toBeLessThanOrEqual(8)
  })

  test('a grey PNG keeps its bytes', async () => {
    const grey = Uint8Array.from({ length: 15 }, (_, at) => at * 17)
    const path = join(scratch, 'grey.png')
    await writeFile(path, await encodeGreyPng(grey, 5, 3))
    const { pixels } = await decode(path)
    expect([...pixels]).toEqual([...grey].flatMap((level) => [level, level, level]))
  })
})

test('an image that cannot be decoded has its reason, whatever is decoded beside it', async () => {
  const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const
  const create = { width: 120, height: 120, channels: 3, background: 'red', noise } as const
  const whole = await sharp({ create }).jpeg().toBuffer()
  const path = join(temporaryFolder(), 'cut.jpg')
  await writeFile(path, whole.subarray(0, whole.length / 2))
  const reasons = Array.from({ length: 40 }, () =>
    decode(path).catch((error) => (error.message.includes('premature end') ? 'known' : 'unknown')),
  )
  const known = (await Promise.all(reasons)).filter((reason) => reason === 'known')
  // A third of them had lost it.
  expect(known.length).toBeGreaterThan(36)
})
