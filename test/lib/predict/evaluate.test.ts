// evaluate is the run's own evaluation: the same figures, the same files left out, the same warnings;
// and a reader's warnings come out of every command that reads data.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { native } from '../../../lib/binding.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { writeDrawnBirds } from '../../../lib/data/datasets/drawn-birds.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import type { RunResult } from '../../../lib/train/run.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const root = join(folder, 'folders')
const configFile = join(folder, 'config.json')
const warnings: string[] = []
let result: RunResult
let good: string

beforeAll(async () => {
  const birds = join(folder, 'birds')
  await writeDrawnBirds({ root: birds, classes: 3, trainPerClass: 8, testPerClass: 5, size: 64 })
  mkdirSync(root)
  for (const split of ['train', 'test']) renameSync(join(birds, split), join(root, split))
  const folders = readdirSync(join(root, 'test')).map((name) => join(root, 'test', name))
  good = join(folders[0] ?? '', '000.jpg')
  writeFileSync(join(folders[1] ?? '', '000.jpg'), 'damaged')
  writeFileSync(join(folders[2] ?? '', 'left-out.bmp'), '')
  const data = { name: 'image-folder', root, resize: 64, onBadImage: 'skip' }
  const input = toyConfig(folder, { name: 'run', data: data as ConfigInput['data'] })
  writeFileSync(configFile, JSON.stringify(input))
  const run = train(defineConfig(input))
  for await (const event of run) if (event.type === 'warning') warnings.push(event.message)
  result = await run.result
})

const leftOut = expect.stringContaining('left-out.bmp')

test('the figures, what is left out and the warnings are those of the run', async () => {
  expect(warnings).toEqual([leftOut, expect.stringMatching(/left out, 1 of at most 1: .*000\.jpg/)])
  const seen: string[] = []
  const onEvent = ({ message }: { message: string }) => seen.push(message)
  const { loss, top1, top5, meanPerClass, classes, n } = result.last
  const figures = await evaluate({ weights: join(result.runDir, 'last'), onEvent })
  expect(figures).toEqual({ loss, top1, top5, meanPerClass, classes, n })
  expect(n).toBe(14)
  expect(seen).toEqual(warnings)
})

test("what LibTorch warns of while it evaluates or predicts is told as a run's is", async () => {
  const { create } = native().NativeTrainer
  const spy = vi.spyOn(native().NativeTrainer, 'create').mockImplementation(async (config) => {
    const trainer = await create(config)
    const stats = await trainer.stats()
    const value = async () => ({ ...stats, warnings: ['from LibTorch'] })
    return Object.defineProperty(trainer, 'stats', { value })
  })
  const seen: string[] = []
  const onEvent = ({ message }: { message: string }) => seen.push(message)
  const weights = result.runDir
  await evaluate({ weights, onEvent })
  await predict([good], { weights, onEvent })
  spy.mockRestore()
  expect(seen).toEqual([...warnings, 'from LibTorch', 'from LibTorch'])
})

const short = ['--rounds', '1', '--steps', '1', '--no-alternatives']
test.each([
  ['eval', () => ['eval', '--weights', result.runDir, '--json']],
  ['data show', () => ['data', 'show', configFile, '--out', 'sheet.png', '--split', 'test']],
  ['bench', () => ['bench', configFile, '--with-data', ...short, '--json']],
])('%s prints what the reader warns of, beside its result', (name, args) => {
  const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args()], {
    cwd: folder,
    encoding: 'utf8',
  })
  expect(stderr).toMatch(/^warning: image-folder: .*1 image in a format .*left-out\.bmp/m)
  expect(stderr).toMatch(/^warning: left out, 1 of at most 1: .*000\.jpg/m)
  expect(status).toBe(0)
  if (name !== 'data show') JSON.parse(stdout)
})
