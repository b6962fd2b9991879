// The images of the training split that are set aside for validation: of every class the same
// fraction, drawn by the seed. They stay rows of the training split's store.

import { McLossError } from '../errors.js'
import { checkSeed, Purpose, shuffle } from '../random.js'
import type { Dataset, LoadedSplit } from './batch.js'

/** What decides which images they are; the options of a loader have it. */
export interface ValidationOptions {
  seed: number
  /** The fraction, 0 < validation < 1. Left out: none are set aside. */
  data: { validation?: number | undefined }
}

/**
 * Where the samples of `split` are: positions in dataset.train (train, validation) or dataset.test,
 * rising. A pure function of the labels in their order, the fraction and the seed. A class of n images
 * gives round(n * fraction) of them, at least one, and keeps one at least.
 *
 * @throws McLossError E_DATA for a class with one training image; E_CONFIG for another fraction, or
 * for `validation` without one; E_ARGUMENT for another seed.
 */
export function positionsOf(
  { classes, train, test }: Dataset,
  { seed, data }: ValidationOptions,
  split: LoadedSplit,
): Int32Array {
  if (split === 'test') return Int32Array.from(test.keys())
  const { validation: fraction } = data
  if (fraction === undefined && split === 'train') return Int32Array.from(train.keys())
  requireFraction(fraction)
  checkSeed(seed)
  const isAside = new Uint8Array(train.length)
  const alone: string[] = []
  for (const [label, positions] of byLabel(train)) {
    const aside = Math.min(
      positions.length - 1,
      Math.max(1, Math.round(positions.length * fraction)),
    )
    if (aside === 0) alone.push(classes[label] ?? String(label))
    const order = shuffle(positions.length, seed, label, Purpose.validation)
    for (const at of order.subarray(0, aside)) isAside[positions[at] as number] = 1
  }
  if (alone.length > 0) throw tooFew(alone)
  const wanted = split === 'validation' ? 1 : 0
  return Int32Array.from(train.keys()).filter((position) => isAside[position] === wanted)
}

function byLabel(samples: Dataset['train']): Map<number, number[]> {
  const found = new Map<number, number[]>()
  for (const [position, { label }] of samples.entries()) {
    const positions = found.get(label)
    if (positions) positions.push(position)
    else found.set(label, [position])
  }
  return found
}

function requireFraction(fraction: number | undefined): asserts fraction is number {
  if (fraction !== undefined && fraction > 0 && fraction < 1) return
  throw new McLossError(
    'E_CONFIG',
    `loader: expected data.validation to be a fraction between 0 and 1 but received ${fraction}. ` +
      'Set it, e.g. to 0.1, or ask for another split.',
  )
}

const NAMED = 4

function tooFew(classes: string[]): McLossError {
  const names = classes.slice(0, NAMED).map((name) => `'${name}'`)
  const more = classes.length > NAMED ? `, and ${classes.length - NAMED} more` : ''
  return new McLossError(
    'E_DATA',
    'loader: data.validation takes one image of every class and leaves one to train on, so it ' +
      `expects two training images of each, but received one of ${names.join(', ')}${more}. Add ` +
      'images, or leave data.validation out.',
  )
}
