// The runs of bench/demo-seeds: which recipes are tuned, on which seeds and images. A run is
// {name, side, loss, config}; its name is the file it is kept in.

import { join } from 'node:path'
import { configToJson } from '../dist/config/index.js'
import { demoConfig } from '../dist/demo.js'

export const losses = ['ce', 'mc']
export const tuningSeed = 100
export const confirmingSeeds = [101, 102]

/** Six trials a loss: what each replaces in the demo's recipe. */
export const trials = {
  ce: [0.02, 0.03, 0.05, 0.1, 0.15, 0.2].map((lr) => ({ lr })),
  mc: [
    { lr: 0.05, alpha: 3, beta: 2 },
    { lr: 0.1, alpha: 3, beta: 2 },
    { lr: 0.2, alpha: 3, beta: 2 },
    { lr: 0.3, alpha: 3, beta: 2 },
    { lr: 0.1, alpha: 1.5, beta: 2 },
    { lr: 0.2, alpha: 1.5, beta: 2 },
  ],
}

// Another drawing than the demo's (data.seed, default 1), so that tuning sees none of its images.
const TUNING_DRAWING = 2
const VALIDATION_PER_CLASS = 50

/** One tuning run; its test split is the validation split of the tuning images. */
export function tuningRun(loss, trial, seed, options) {
  const { lr, ...weights } = trial
  const config = baseConfig(loss, seed, options, 'tuning-birds')
  const text = Object.entries(trial).map(([key, value]) => `${key}${value}`)
  return {
    name: `tune-${loss}-${text.join('-')}-${seed}`,
    side: 'ours',
    loss,
    config: {
      ...config,
      data: { ...config.data, seed: TUNING_DRAWING, testPerClass: VALIDATION_PER_CLASS },
      loss: { ...config.loss, ...weights },
      optim: { ...config.optim, lr, headLr: lr },
    },
  }
}

/** One run of the committed configuration. side: 'ours' or 'pytorch'. */
export function finalRun(side, loss, seed, options) {
  const config = baseConfig(loss, seed, options, 'birds')
  return { name: `final-${side}-${loss}-${seed}`, side, loss, config }
}

function baseConfig(loss, seed, { work, threads, epochs }, images) {
  const config = demoConfig(loss, {
    root: join(work, images),
    out: join(work, 'runs'),
    seed,
    threads,
    ...(epochs > 0 && { epochs }),
  })
  // Evaluation and checkpoints do not change the training; the last epoch is what counts.
  return { ...config, evalEvery: config.optim.epochs, checkpointEvery: config.optim.epochs }
}

/** What decides a run's result, as text: a kept result with another recipe is out of date. */
export function recipeOf({ config, side }) {
  const { seed, precision, model, loss, optim, data } = configToJson(config)
  const { root: _, decoders: __, prefetch: ___, ...pixels } = data
  return JSON.stringify({ side, seed, precision, model, loss, optim, data: pixels })
}
