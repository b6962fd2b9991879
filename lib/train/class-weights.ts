// data.classWeights of a run: what the cross entropy of each class is multiplied by.

import type { Config } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import { McLossError } from '../errors.js'

type Given = Config['data']['classWeights']

/**
 * A weight for each class, with mean 1 over the training samples; undefined: none. 'balanced' is
 * n / (K n_k), the rule of scikit-learn's compute_class_weight, which has that mean. A list is divided
 * by its mean, so that its size does not act as a learning rate.
 *
 * @throws McLossError E_CONFIG for a list of another length, or of a mean that is not above 0; E_DATA for
 * 'balanced' where a class has no training image.
 */
export function classWeightsOf(
  given: Given,
  { classes, train }: Pick<Dataset, 'classes' | 'train'>,
): number[] | undefined {
  if (given === 'none') return undefined
  const counts = classes.map(() => 0)
  for (const { label } of train) counts[label] = (counts[label] as number) + 1
  if (given === 'balanced') {
    const empty = counts.indexOf(0)
    if (empty < 0) return counts.map((count) => train.length / (classes.length * count))
    throw new McLossError(
      'E_DATA',
      "train: expected every class to have training images for data.classWeights 'balanced', but " +
        `${JSON.stringify(classes[empty])} has none. Give it some, or a list of weights.`,
    )
  }
  requireOneEach('train', given, classes.length)
  const sum = counts.reduce((total, count, k) => total + count * (given[k] as number), 0)
  const mean = sum / train.length
  if (mean > 0 && Number.isFinite(mean)) return given.map((weight) => weight / mean)
  throw new McLossError(
    'E_CONFIG',
    'train: expected the mean of data.classWeights over the training images to be a finite number ' +
      `above 0 but received ${mean}. Give a class that has images a weight above 0.`,
  )
}

/**
 * For a trainer without a run, which knows of no training images: a list as it stands.
 *
 * @throws McLossError E_CONFIG for 'balanced' and for a list of another length.
 */
export function givenClassWeights(given: Given, numClasses: number): number[] | undefined {
  if (given === 'none') return undefined
  if (given !== 'balanced') return requireOneEach('Trainer.create', given, numClasses)
  throw new McLossError(
    'E_CONFIG',
    "Trainer.create: expected data.classWeights to be 'none' or a list but received 'balanced': a " +
      'trainer knows of no images to count. Give a list of numbers.',
  )
}

function requireOneEach(who: string, given: number[], numClasses: number): number[] {
  if (given.length === numClasses) return given
  throw new McLossError(
    'E_CONFIG',
    `${who}: expected data.classWeights to have ${numClasses} numbers, one for each class in the order ` +
      `of the classes, but received ${given.length}.`,
  )
}
