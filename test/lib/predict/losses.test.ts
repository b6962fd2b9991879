// A model of each loss is trained, aborted within an epoch and resumed to the same weights; then a fresh
// process predicts with all of them, and nobody names the loss.

import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Config, type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { evaluate } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const names = [
  ...['a-softmax', 'arcface', 'center', 'coco', 'cosine-loss', 'cross-entropy', 'focal', 'lgm'],
  ...['lmcl', 'max-entropy'],
] as const
const configOf = (name: (typeof names)[number], run: string): Config =>
  defineConfig(toyConfig(folder, { loss: { name } as ConfigInput['loss'], name: run }))

test.each(names)('%s: aborted within an epoch and resumed, to the bit', async (name) => {
  const whole = await train(configOf(name, name)).result
  const again = configOf(name, `${name}-again`)
  const { result } = train(again, { resume: await stoppedIn('step', 5, again) })
  expect(computed((await result).runDir)).toEqual(computed(whole.runDir))
})

test('a fresh process predicts with each, and as evaluate did', async () => {
  const [kind = ''] = readdirSync(join(folder, 'birds/test'))
  const image = join(folder, 'birds/test', kind, '000.jpg')
  const runs = names.map((name) => join(folder, 'runs', name))
  const code = `
    import { predict } from ${JSON.stringify(join(import.meta.dirname, '../../../dist/index.js'))}
    const [image, ...runs] = process.argv.slice(1)
    const all = []
    for (const weights of runs) all.push((await predict([image], { weights }))[0].top)
    console.log(JSON.stringify(all))`
  const output = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', code, image, ...runs],
    { encoding: 'utf8' },
  )
  const answers = JSON.parse(output) as { probability: number }[][]
  expect(answers).toHaveLength(names.length)
  for (const [at, top] of answers.entries()) {
    const sum = top.reduce((total, { probability }) => total + probability, 0)
    expect(sum, names[at]).toBeCloseTo(1, 5)
    expect((await evaluate({ weights: runs[at] as string })).n).toBe(15)
  }
})
