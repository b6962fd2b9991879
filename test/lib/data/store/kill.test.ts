// A store that is killed while it is built, or built by two processes at once, holds the right pixels.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import type { Dataset } from '../../../../lib/data/batch.js'
import { storeLayout } from '../../../../lib/data/store/format.js'
import { prepareStores } from '../../../../lib/data/store/index.js'
import { soak } from '../../../support/fixture-lines.js'
import { temporaryFolder } from '../../../support/small-birds.js'
import { noiseFiles, pixelsOf, SIZE, storeOptions } from '../../../support/store-fixture.js'

const COUNT = 150
const folder = temporaryFolder()
const options = storeOptions(folder)
const program = join(import.meta.dirname, '../../../support/store-builder.mjs')
let dataset: Dataset
let expected: Buffer[]

beforeAll(async () => {
  dataset = await noiseFiles(join(folder, 'files'), COUNT)
  expected = await Promise.all(dataset.train.map(({ path }) => pixelsOf(path)))
})

function start() {
  const child = spawn(process.execPath, [program, JSON.stringify({ dataset, options })])
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  child.stderr.pipe(process.stderr)
  const ended = new Promise<void>((settle) => child.on('close', () => settle()))
  return { child, ended, output: () => output }
}

/** Every image of the training store against the decoder's own result. */
function requireRight(path: string) {
  const bytes = readFileSync(path)
  const layout = storeLayout({ count: COUNT, height: SIZE[0], width: SIZE[1] })
  expect(bytes.length).toBe(layout.fileBytes)
  const wrong = expected.flatMap((pixels, index) => {
    const at = layout.imageAt(index)
    return bytes.subarray(at, at + layout.imageBytes).equals(pixels) ? [] : [index]
  })
  expect(wrong).toEqual([])
}

/** Images that the unfinished training store has, by its marks. */
function imagesThere(): number {
  const stores = join(options.out, 'stores')
  const names = existsSync(stores) ? readdirSync(stores) : []
  const part = names.find((name) => /-train-.*\.part$/.test(name))
  if (part === undefined) return names.length > 0 ? COUNT : 0
  const { marksAt } = storeLayout({ count: COUNT, height: SIZE[0], width: SIZE[1] })
  const marks = readFileSync(join(stores, part)).subarray(marksAt)
  let there = 0
  for (let at = 4; at < marks.length; at += 8) there += marks.readUInt32LE(at)
  return there
}

const POINTS = soak ? 20 : 6

test(`killed at ${POINTS} points of the way, then started again: every pixel is right`, async () => {
  let unfinished = 0
  for (let round = 0; round < POINTS; round++) {
    rmSync(join(folder, 'stores'), { recursive: true, force: true })
    const victim = start()
    while (imagesThere() < (COUNT * round) / POINTS) await setTimeout(1)
    victim.child.kill('SIGKILL')
    await victim.ended
    if (!victim.output().includes('finished')) unfinished++
    const { files } = await prepareStores(dataset, options, { verify: true })
    requireRight(files[0] ?? '')
  }
  expect(unfinished).toBeGreaterThanOrEqual(POINTS * 0.75)
})

test('two processes at once build the same store', async () => {
  rmSync(join(folder, 'stores'), { recursive: true, force: true })
  const both = [start(), start()]
  await Promise.all(both.map(({ ended }) => ended))
  for (const { output } of both) expect(output()).toContain('finished')
  const { files } = await prepareStores(dataset, options, { verify: true })
  requireRight(files[0] ?? '')
})
