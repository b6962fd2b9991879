// A trainer on a GPU beside one on the CPU: every loss and every head, with the step as a replayed CUDA
// graph and without. Runs where LibTorch sees a GPU.

import { expect, test } from 'vitest'
import { type NativeLoss, type NativeTrainerConfig, native } from '../../../lib/binding.js'
import { mcLossConfig, ownWarnings, toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const missing = native().deviceCount() === 0
const { model, settings } = toyTrainer()
const batch = wholeBatch(8, 32, 5)
const cosine = { kind: 'cosine', scale: 16 }
const norm = { kind: 'cosine', scale: 'norm' }
const steps = 8 // the recording is the fourth

// With the scalar 0.5: lambda of a-softmax, alpha of lgm.
const losses: [string, NativeLoss, object?][] = [
  ['mc', mcLossConfig],
  ['mc, masks a sample', { ...mcLossConfig, maskScope: 'sample' }],
  ['cross entropy', { name: 'cross-entropy', labelSmoothing: 0.1 }],
  ['focal', { name: 'focal', gamma: 2 }],
  ['center', { name: 'center', weight: 0.1, centerRate: 0.5 }],
  ['a-softmax', { name: 'a-softmax', margin: 4 }, { classifier: norm }],
  ['coco', { name: 'coco', scale: 16 }, { classifier: cosine }],
  ['lmcl', { name: 'lmcl', scale: 16, margin: 0.2 }, { classifier: cosine }],
  ['lgm', { name: 'lgm', lambda: 0.1 }, { classifier: { kind: 'distance' } }],
  ['cosine-loss', { name: 'cosine-loss' }],
  ['arcface', { name: 'arcface', scale: 16, margin: 0.3 }, { classifier: cosine }],
  ['max-entropy', { name: 'max-entropy', gamma: 0.2 }],
]
const ce: NativeLoss = { name: 'cross-entropy' }
const heads: [string, NativeLoss, object][] = [
  ['head linear', ce, { head: 'linear' }],
  ['head bilinear', ce, { head: 'bilinear' }],
  ['head bilinear isqrt', ce, { head: 'bilinear', pooling: 'isqrt' }],
  ['resnet18, head torchvision', ce, { backbone: 'resnet18', head: 'torchvision' }],
  [
    'mc on resnet18, three channels a class',
    mcLossConfig,
    { backbone: 'resnet18', channelsPerClass: 3 },
  ],
]

/** The loss of each step, and what the trainer had to say. */
async function run(config: Partial<NativeTrainerConfig>) {
  const trainer = await native().NativeTrainer.create(toyTrainer(config))
  const values: number[] = []
  const warnings: string[] = []
  for (let step = 0; step < steps; step++) {
    await trainer.step(batch, { step, seed: 1, lr: 0.01, scalar: 0.5 })
    const stats = await trainer.stats()
    values.push(stats.loss / stats.n)
    warnings.push(...ownWarnings(stats))
  }
  await trainer.dispose()
  return { values, warnings }
}

const apart = (a: number[], b: number[]) =>
  Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number)) / Math.abs(b[i] as number)))

for (const precision of ['fp32', 'bf16'] as const) {
  test.skipIf(missing).each([...losses, ...heads])(
    `%s in ${precision}: the CPU, the GPU, and its step as a graph agree${missing ? ' (skipped: LibTorch sees no GPU)' : ''}`,
    async (_, loss, of = {}) => {
      const config = { loss, model: { ...model, ...of }, precision }
      const on = (cudaGraph: 'auto' | 'off') => {
        const exact = { tf32: false, deterministic: true, cudnnBenchmark: false, cudaGraph }
        return run({ ...config, device: 'cuda', settings: { ...settings, ...exact } })
      }
      const [cpu, plain, graph] = [await run(config), await on('off'), await on('auto')]
      expect(graph.warnings).toEqual([])
      expect(apart(graph.values, plain.values), 'graph on and off').toBeLessThan(1e-3)
      // The second loss has the first gradient in it. Later ones drift apart: a ReLU or a maximum that falls
      // the other way once decides over the next step, on one device with another rounding alike.
      const bounds = precision === 'fp32' ? [1e-4, 1e-3] : [0.02, 0.2]
      for (const [step, bound] of bounds.entries()) {
        const [a, b] = [plain, cpu].map(({ values }) => values.slice(step, step + 1))
        expect(apart(a as number[], b as number[]), `step ${step}`).toBeLessThan(bound)
      }
    },
  )
}
