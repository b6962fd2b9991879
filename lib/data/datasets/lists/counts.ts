// The sizes of the official releases, which a data set on disk is held against.

import type { Dataset, Split } from '../../batch.js'
import { splitsOf } from './reader.js'

export interface Counts {
  classes: number
  /** Images. */
  train: number
  /** Images. */
  test: number
}

const images = { train: 'training images', test: 'test images' }

/** The data set; where its counts are not the `official` ones, with a warning that says which. */
export function withCountWarning(
  dataset: Dataset,
  official: Counts,
  { root, split }: { root: string; split?: Split | undefined },
): Dataset {
  const differences = [
    [dataset.classes.length, official.classes, 'classes'],
    ...splitsOf(split).map((one) => [dataset[one].length, official[one], images[one]]),
  ]
    .filter(([found, expected]) => found !== expected)
    .map(([found, expected, what]) => `${found} ${what} instead of ${expected}`)
  if (differences.length === 0) return dataset
  const message = `${dataset.name}: ${root} is not the official release: ${differences.join(', ')}.`
  return { ...dataset, warnings: [...(dataset.warnings ?? []), message] }
}
