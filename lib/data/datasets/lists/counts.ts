// The sizes of the official releases, which a data set on disk is held against.

import type { Dataset } from '../../batch.js'

export interface Counts {
  classes: number
  /** Images. */
  train: number
  /** Images. */
  test: number
}

/** The data set; where its counts are not the `official` ones, with a warning that says which. */
export function withCountWarning(dataset: Dataset, official: Counts, root: string): Dataset {
  const { classes, train, test } = dataset
  const differences = [
    [classes.length, official.classes, 'classes'],
    [train.length, official.train, 'training images'],
    [test.length, official.test, 'test images'],
  ]
    .filter(([found, expected]) => found !== expected)
    .map(([found, expected, what]) => `${found} ${what} instead of ${expected}`)
  if (differences.length === 0) return dataset
  const message = `${dataset.name}: ${root} is not the official release: ${differences.join(', ')}.`
  return { ...dataset, warnings: [...(dataset.warnings ?? []), message] }
}
