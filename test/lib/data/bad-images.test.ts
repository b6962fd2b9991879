// No image file ends, hangs or fills a process: what comes of each file of bad-images.ts, in a
// process of its own that runs dist/data/images.js.

import { type ChildProcess, spawn } from 'node:child_process'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decode, describe as describeImage } from '../../../lib/data/images.js'
import { type BadImage, type Outcome, writeBadImages } from '../../support/bad-images.js'
import { temporaryFolder } from '../../support/small-birds.js'

const HANGS = 60_000 // ms; the longest of them takes 2 s
const MEMORY = 500e6 // bytes

interface Decoded {
  path: string
  outcome: Outcome
  message?: string
  growth: number
}

let files: BadImage[] = []
const decoded: Decoded[] = []
let child: ChildProcess | undefined

beforeAll(async () => {
  files = await writeBadImages(temporaryFolder())
  const first = files.find(({ path }) => path.endsWith('/no-ending'))?.path ?? ''
  const module = join(import.meta.dirname, '../../..', 'dist', 'data', 'images.js')
  const script = join(import.meta.dirname, '../../support/bad-images-decoder.mjs')
  const decoder = spawn(process.execPath, ['--expose-gc', script, module, first])
  child = decoder
  let stderr = ''
  decoder.stderr.on('data', (data) => {
    stderr += data
  })
  const lines = createInterface({ input: decoder.stdout })[Symbol.asyncIterator]()
  for (const { path } of files) {
    decoder.stdin.write(`${path}\n`)
    const hangs = setTimeout(() => decoder.kill('SIGKILL'), HANGS)
    const { value, done } = await lines.next()
    clearTimeout(hangs)
    if (done) throw new Error(`the decoder ended or hung on ${path}\n${stderr}`)
    decoded.push(JSON.parse(value) as Decoded)
  }
  decoder.stdin.end()
})
afterAll(() => {
  child?.kill()
})

test('there are 60 and more, a third of them usable', () => {
  expect(files.length).toBeGreaterThanOrEqual(60)
  expect(files.filter(({ outcome }) => outcome !== 'E_IMAGE').length).toBeGreaterThan(15)
})

test('each decodes to its size or is an E_IMAGE that names it', () => {
  const byName = (list: { path: string; outcome: Outcome }[]) =>
    Object.fromEntries(list.map(({ path, outcome }) => [basename(path), outcome]))
  expect(byName(decoded)).toEqual(byName(files))
  for (const { path, outcome, message } of decoded) {
    if (outcome === 'E_IMAGE') expect(message).toContain(`${path} `)
  }
})

test('each takes less than 500 MB', () => {
  for (const { path, growth } of decoded) expect(growth, path).toBeLessThan(MEMORY)
  const largest = Math.max(...decoded.map(({ growth }) => growth))
  expect(largest).toBeGreaterThan(147e6) // 49 megapixels were in memory
})

test('describe says the same, and the reason alone is the cause', async () => {
  for (const { path, outcome } of files) {
    const told = await describeImage({ path }).then(
      ({ width, height }) => ({ width, height }),
      ({ code, cause }) => {
        expect(cause.message, path).not.toContain(path)
        return code
      },
    )
    expect(told, path).toEqual(outcome)
  }
})

test('describe tells colours, alpha, bits, and where a picture ends early', async () => {
  const of = (name: string) =>
    describeImage({ path: files.find(({ path }) => basename(path) === name)?.path ?? '' })
  expect(await of('cmyk.jpg')).toMatchObject({ colour: 'cmyk', alpha: false, bits: 8 })
  expect(await of('grey.jpg')).toMatchObject({ colour: 'grey', alpha: false, bits: 8 })
  expect(await of('palette.png')).toMatchObject({ colour: 'rgb', alpha: false, bits: 8 })
  expect(await of('alpha.webp')).toMatchObject({ colour: 'rgb', alpha: true, bits: 8 })
  expect(await of('16-bit-grey-alpha.png')).toMatchObject({ colour: 'grey', alpha: true, bits: 16 })
  expect(await of('jpeg-twice-as-tall.jpg')).toMatchObject({
    damage: expect.stringContaining('premature end of data'),
  })
  expect(await of('no-ending')).not.toHaveProperty('damage')
})

test('a picture that ends early is grey from there on, as PIL leaves it', async () => {
  const { path = '' } = files.find((file) => file.path.endsWith('/jpeg-twice-as-tall.jpg')) ?? {}
  const { pixels } = await decode(path)
  expect([...pixels.subarray(-96 * 3)]).toEqual(Array(96 * 3).fill(128))
})
