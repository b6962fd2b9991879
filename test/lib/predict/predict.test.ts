// predict answers for every file that can be decoded, whatever the others are; a folder is its images.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { defineConfig } from '../../../lib/config/index.js'
import type { Prediction } from '../../../lib/predict/each.js'
import { predict } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const photos = join(folder, 'photos')
const [a, b, bad, missing] = ['a.jpg', 'b.JPEG', 'bad.png', 'missing.jpg'].map((name) =>
  join(folder, name),
) as [string, string, string, string]
let weights: string

beforeAll(async () => {
  const optim = { lr: 0.05, epochs: 1, batchSize: 2 }
  weights = (await train(defineConfig(toyConfig(folder, { optim, name: 'run' }))).result).runDir
  const [first = '', second = ''] = readdirSync(join(folder, 'birds/test'))
  cpSync(join(folder, 'birds/test', first, '000.jpg'), a)
  cpSync(join(folder, 'birds/test', second, '001.jpg'), b)
  writeFileSync(bad, 'not an image')

  mkdirSync(join(photos, 'day 2/deep'), { recursive: true })
  mkdirSync(join(photos, '.hidden'))
  for (const name of ['z.jpg', 'day 2/deep/y.webp', '.hidden/x.jpg']) cpSync(a, join(photos, name))
  cpSync(b, join(photos, 'B.PNG'))
  for (const name of ['notes.txt', 'day 2/clip.mp4']) writeFileSync(join(photos, name), '')
  symlinkSync('..', join(photos, 'day 2/round'))
  symlinkSync(join(folder, 'birds/test', first), join(photos, 'linked'))
})

/** Up to the rounding of batches of other sizes. */
const near = (top: Prediction['top'] = []) =>
  top.map((one) => ({ ...one, probability: expect.closeTo(one.probability, 5) }))

const refused = (path: string, ...words: string[]) => ({
  path,
  top: [],
  error: expect.objectContaining({
    code: 'E_IMAGE',
    message: expect.stringMatching(words.join('.*')),
  }),
})

test('files that cannot be decoded have an error in their place, the others their answers', async () => {
  const [first, second] = await predict([a, b], { weights })
  expect(first?.top).toHaveLength(3)
  const [alone, other] = [
    { path: a, top: near(first?.top) },
    { path: b, top: near(second?.top) },
  ]
  // The batch in the middle holds nothing that can be decoded.
  const mixed = await predict([a, bad, missing, bad, b, a, bad], { weights })
  const damaged = refused(bad, 'bad.png', 'another format')
  const absent = refused(missing, 'missing.jpg', 'ENOENT')
  expect(mixed).toEqual([alone, damaged, absent, damaged, other, alone, damaged])
  expect(await predict([bad], { weights })).toEqual([damaged])
})

test('no files are no answers', async () => {
  expect(await predict([], { weights })).toEqual([])
})

test('a folder is its images, however deep, sorted; what is left out is said', async () => {
  const warnings: string[] = []
  const onEvent = ({ message }: { message: string }) => warnings.push(message)
  const predictions = await predict([photos, a], { weights, onEvent })
  const linked = Array.from({ length: 5 }, (_, at) => `linked/00${at}.jpg`)
  const names = ['B.PNG', 'day 2/deep/y.webp', ...linked, 'z.jpg']
  expect(predictions.map(({ path }) => path)).toEqual([
    ...names.map((name) => join(photos, name)),
    a,
  ])
  expect(predictions.at(-1)?.top).toEqual(near(predictions[1]?.top))
  expect(warnings).toEqual([expect.stringMatching(/2 files in .*photos .*day 2\/clip\.mp4/)])
})

test('a folder without images has an error', async () => {
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  const [nothing, answer] = await predict([empty, a], { weights })
  expect(nothing).toMatchObject({ path: empty, top: [], error: { code: 'E_DATA' } })
  expect(nothing?.error?.message).toContain(`${empty} has none`)
  expect(answer?.top).toHaveLength(3)
})

test('the command prints the answers, names the other files on stderr, and exits with 1', () => {
  const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [cli, 'predict', ...args, '--weights', weights], {
      encoding: 'utf8',
    })
  const words = run(a, bad, '--top', '1')
  expect(words.status).toBe(1)
  expect(words.stdout).toMatch(new RegExp(`^${a}\n +[\\d.]+ %  .+\n$`))
  expect(words.stderr).toMatch(/^images: .*bad\.png is of another format.*\n$/)
  const json = run(bad, b, '--json')
  expect(json.status).toBe(1)
  expect(JSON.parse(json.stdout)).toEqual([
    { path: bad, top: [], error: { code: 'E_IMAGE', message: words.stderr.trim() } },
    { path: b, top: expect.arrayContaining([expect.objectContaining({ label: 0 })]) },
  ])
})
