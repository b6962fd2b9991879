// Claim: what controls of fine-tuning do with few images: a small VGG of 40 kinds of drawn birds is the start
// for 20 other kinds, plainly and with one control more. Whatever it shows.
//
//   npm run bench -- fine-tuning [--seeds N] [--dry]

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { scratchDir } from './batches.mjs'
import { birdsRun, sideOf, stageOptions, stages } from './birds-run.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { pairedInterval, rounded } from './statistics.mjs'

const options = readOptions({
  ...stageOptions,
  threads: availableParallelism(),
  dry: false,
})
const { seeds, epochs, firstEpochs, images, firstImages, threads } = options

/** One control each beside SGD at rate 0.05 with a cosine schedule. AdamW has a rate of its own kind. */
const controls = {
  'backbone frozen for 5 epochs': { optim: { freezeBackboneEpochs: 5 } },
  'EMA 0.98': { optim: { ema: { decay: 0.98 } }, best: { of: 'ema' } },
  'gradient norm clipped at 1': { optim: { clipGradNorm: 1 } },
  'AdamW, rate 0.001, decay 0.05': { optim: { name: 'adamw', lr: 0.001, weightDecay: 0.05 } },
}

const dir = scratchDir()
const first = await birdsRun(options, dir, {
  ...{ ...stages.first, name: 'first', seed: 0, epochs: firstEpochs, trainPerClass: firstImages },
})
const weights = join(first.runDir, 'last', 'model.safetensors')

/** -> top-1 % after the last epoch by seed. */
async function tuned(control, name, part) {
  const top1 = []
  for (let seed = 0; seed < seeds; seed++) {
    const { last } = await birdsRun(options, dir, {
      ...{ ...stages.second, ...part, weights, seed, epochs, trainPerClass: images },
      name: `${name}-${seed}`,
    })
    top1.push(rounded(100 * last.top1))
    console.log(`seed ${seed}, ${control}: top-1 ${rounded(100 * last.top1)} %`)
  }
  return top1
}

const plain = await tuned('plain', 'plain', {})
for (const [at, [control, part]] of Object.entries(controls).entries()) {
  const ours = await tuned(control, `control-${at}`, part)
  const { mean: value, low, high } = pairedInterval(ours, plain)
  record(
    {
      claim: 'fine-tuning',
      setting: `${control}, vgg-small, ${images} images a class, ${epochs} epochs`,
      sample: `${seeds} seeds`,
      threads,
      peer: sideOf('plain', plain),
      ours: sideOf(control, ours),
      ratio: {
        value: Number(value.toFixed(4)),
        low: rounded(low),
        high: rounded(high),
        unit: 'points',
      },
      check: { ok: true, text: `the first model has ${stages.first.classes} kinds` },
    },
    options.dry,
  )
}
