// A study of the toy model on three kinds of drawn birds: a run takes about a second.

import { join } from 'node:path'
import type { StudyInput } from '../../lib/compare/study.js'
import { toyConfig } from './small-birds.js'

export const crossEntropy = { label: 'ce', values: { loss: { name: 'cross-entropy' } } }
export const mc = { label: 'mc', values: { loss: { name: 'mc', alpha: 1, beta: 0.5 } } }
/** Its runs fail: there are no such weights. */
export const broken = {
  label: 'broken',
  values: { 'model.weights': 'not-there.safetensors' },
  seeds: [0],
}

/** Two losses on two seeds; the images lie in `folder`. */
export function tinyStudy(folder: string, more: Partial<StudyInput> = {}): StudyInput {
  return {
    name: 'tiny',
    base: JSON.parse(JSON.stringify(tinyConfig(folder))),
    entries: [crossEntropy, mc],
    seeds: [0, 1],
    baseline: { label: 'ce' },
    ...more,
  }
}

export function tinyConfig(folder: string) {
  const { out, seed, threads, ...config } = toyConfig(folder)
  return { ...config, data: { ...config.data, root: join(folder, 'birds') } }
}
