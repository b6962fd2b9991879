// What is tried when an entry is tuned: the learning rates, and of each loss its own options over the
// range that its authors and users report.

import { Purpose, shuffle } from '../random.js'
import { isStated, type Values } from './values.js'

/** A key of the configuration to the values that are tried. */
export type Grid = Readonly<Record<string, readonly unknown[]>>

const rates = [0.02, 0.05, 0.1, 0.2]
const labelSmoothing = [0, 0.1]

/** The options of a loss by its name; a loss with none is tuned by its learning rate alone. */
export const lossGrids: Readonly<Record<string, Grid>> = {
  'a-softmax': { margin: [2, 4], lambdaMin: [5, 20] },
  arcface: { margin: [0.1, 0.3, 0.5] },
  center: { weight: [3e-4, 1e-3, 3e-3, 1e-2], labelSmoothing },
  coco: { scale: [8, 12, 30] },
  'cosine-loss': {},
  'cross-entropy': { labelSmoothing },
  focal: { gamma: [1, 2, 5] },
  lgm: { alpha: [0, 0.1, 0.3], lambda: [0.01, 0.1] },
  lmcl: { scale: [16, 30, 64], margin: [0.1, 0.2, 0.35] },
  'max-entropy': { gamma: [0.1, 1] },
  mc: { labelSmoothing },
}

/** The grid of a loss, without what an entry states: that is what it compares. */
export function gridOf(loss: string, stated: Values): Grid {
  const own = Object.entries(lossGrids[loss] ?? {}).map(([key, values]) => [`loss.${key}`, values])
  const all: Grid = { 'optim.lr': rates, ...Object.fromEntries(own) }
  return Object.fromEntries(Object.entries(all).filter(([key]) => !isStated(stated, key)))
}

/** At most `count` points of a grid, the same ones of the same grid; in the grid's order. */
export function pointsOf(grid: Grid, count: number): Values[] {
  const all = productOf(grid)
  const chosen = shuffle(all.length, 0, 0, Purpose.tuning).subarray(0, count).sort()
  return Array.from(chosen, (at) => all[at] as Values)
}

/** Every combination; the last key changes fastest. */
export function productOf(grid: Grid): Values[] {
  return Object.entries(grid).reduce<Values[]>(
    (points, [key, values]) =>
      points.flatMap((point) => values.map((value) => ({ ...point, [key]: value }))),
    [{}],
  )
}
