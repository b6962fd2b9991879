// pytorch-metric-learning's losses (pml_losses.py) against ours. Runs where a Python has it and the
// torch of the LibTorch in use, else says why not.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lossOf, sampleOf } from '../../support/loss-samples.js'
import { findPython } from '../../support/python-with-torch.js'

const script = join(import.meta.dirname, 'pml_losses.py')
const { python, why, skipped } = await findPython('pytorch_metric_learning')

const always = { lambdaStart: 0, lambdaDecay: 0, lambdaMin: 0 }
const cases = [
  ...[1, 2, 3, 4].map((margin) => ({ name: 'a-softmax', options: { margin, ...always } })),
  { name: 'coco', options: { scale: 8 } },
  { name: 'lmcl', options: { scale: 30, margin: 0.35 } },
  { name: 'arcface', options: { scale: 16, margin: 0.5 } },
].map((loss, at) => ({ ...loss, ...sampleOf(`pml ${at}`) }))

test.skipIf(skipped)(`losses of pytorch-metric-learning${skipped ? ` (${why})` : ''}`, async () => {
  if (python === undefined) throw new Error(why)
  const run = spawnSync(python, [script], { input: JSON.stringify(cases), encoding: 'utf8' })
  expect(run.status, run.stderr).toBe(0)
  const results = JSON.parse(run.stdout) as Record<string, number | number[]>[]
  expect(results).toHaveLength(cases.length)
  for (const [at, { name, options, ...sample }] of cases.entries()) {
    const received = { ...(await lossOf({ name, ...options }, sample)) } as Record<string, unknown>
    for (const [key, expected] of Object.entries(results[at] ?? {})) {
      const ours = [received[key] as number | Float64Array].flatMap((value) =>
        typeof value === 'number' ? [value] : Array.from(value),
      )
      for (const [n, value] of [expected].flat().entries()) {
        const what = `${name} ${JSON.stringify(options)}: ${key} ${n} is ${ours[n]}, not ${value}`
        expect(Math.abs((ours[n] as number) - value), what).toBeLessThan(1e-11)
      }
    }
  }
})
