// The runs of bench/demo-seeds: {name, side, loss, config}; the name is the file a run is kept in.

import { join } from 'node:path'
import { configToJson } from '../dist/config/index.js'
import { demoConfig } from '../dist/demo.js'

export const losses = ['ce', 'mc']

/** One run of the committed configuration. side: 'ours' or 'pytorch'. */
export function runOf(side, loss, seed, { work, threads, epochs }) {
  const config = demoConfig(loss, {
    root: join(work, 'birds'),
    out: join(work, 'runs'),
    seed,
    threads,
    ...(epochs > 0 && { epochs }),
  })
  // Evaluation and checkpoints do not change the training; the last epoch is what counts.
  const end = config.optim.epochs
  const name = `${side}-${loss}-${seed}`
  return { name, side, loss, config: { ...config, evalEvery: end, checkpointEvery: end } }
}

/** What decides a run's result, as text: a kept result with another recipe is out of date. */
export function recipeOf({ config, side }) {
  const { seed, precision, model, loss, optim, data } = configToJson(config)
  const { root: _, decoders: __, prefetch: ___, ...pixels } = data
  return JSON.stringify({ side, seed, precision, model, loss, optim, data: pixels })
}
