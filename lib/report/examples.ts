// A picture of each class, from the test split that a run's configuration names.

import type { DatasetOptions } from '../data/datasets/index.js'
import { openDataset } from '../data/datasets/index.js'
import { reasonOf } from '../errors.js'
import type { Settings } from './run.js'

export interface Examples {
  /** Paths of a class's first test images. */
  of(name: string): readonly string[]
  notes: string[]
}

/** Of several data sets the first that has the class gives its pictures. */
export async function examplesOf(
  configs: readonly (Settings | undefined)[],
  perClass: number,
): Promise<Examples> {
  const data = new Map(configs.map((config) => [JSON.stringify(config?.data), config?.data]))
  const paths = new Map<string, string[]>()
  const notes: string[] = []
  for (const options of data.values()) {
    if (options === undefined) continue
    try {
      await addExamples(paths, options as DatasetOptions, perClass)
    } catch (error) {
      notes.push(
        `The data set could not be opened, so classes have no pictures: ${reasonOf(error)}`,
      )
    }
  }
  return { of: (name) => paths.get(name) ?? [], notes }
}

async function addExamples(
  paths: Map<string, string[]>,
  options: DatasetOptions,
  perClass: number,
): Promise<void> {
  const { root, name } = options
  // Their own reader draws birds that are not there; they lie as a folder of images.
  const read = name === 'drawn-birds' ? { name: 'image-folder', root } : options
  const { classes, test } = await openDataset({ ...read, strict: false, split: 'test' })
  const known = new Set(paths.keys())
  for (const { label, path } of test) {
    const name = classes[label] as string
    if (known.has(name)) continue
    const found = paths.get(name) ?? []
    if (found.length < perClass) paths.set(name, [...found, path])
  }
}
