// What every dataset must keep, whoever made it.

import { resolve } from 'node:path'
import { z } from 'zod'
import { McLossError } from '../../../errors.js'
import { type Dataset, type Sample, SPLITS, type Split } from '../../batch.js'
import { splitsOf } from './reader.js'

/** That a value is a Dataset at all; by hand, since splits are long. */
export const datasetShape = z.custom<Dataset>().superRefine((value, context) => {
  const wrong = (path: PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path, message })
  if (!(value instanceof Object)) return wrong([], 'expected a Dataset {classes, train, test}')
  const isText = (one: unknown) => typeof one === 'string'
  for (const key of ['classes', ...SPLITS] as const) {
    if (!Array.isArray(value[key])) return wrong([key], 'expected an array')
  }
  const at = value.classes.findIndex((name) => !isText(name))
  if (at >= 0) wrong(['classes', at], 'expected a name')
  for (const split of SPLITS) {
    const sample = value[split].findIndex((one) => !isText(Object(one).path))
    if (sample >= 0) wrong([split, sample], 'expected a sample {path, label}')
  }
})

/**
 * A script's Dataset as it is now, with absolute paths: its owner may sort or change the lists, or the
 * process go to another folder, while a run works with them.
 */
export function copyOf({ classes, train, test, name, warnings }: Dataset): Dataset {
  const copies = (samples: Sample[]) =>
    samples.map(({ path, label, box, cropBottom }) => ({
      path: resolve(path),
      label,
      ...(box && { box: [...box] as const }),
      ...(cropBottom !== undefined && { cropBottom }),
    }))
  return {
    ...(name !== undefined && { name }),
    classes: [...classes],
    train: copies(train),
    test: copies(test),
    ...(warnings && { warnings: [...warnings] }),
  }
}

/** @throws McLossError E_DATA for an empty split or a label that is no class. */
export function checkSplit(dataset: Dataset, split: Split): void {
  const samples = dataset[split]
  const { length } = dataset.classes
  const name = dataset.name ?? 'the dataset'
  if (samples.length === 0) {
    throw new McLossError(
      'E_DATA',
      `datasets: the ${split} split of ${name} is empty. Add samples to it.`,
    )
  }
  if (length === 0) {
    throw new McLossError('E_DATA', `datasets: ${name} has no classes. Name one at least.`)
  }
  const wrong = samples.find(
    ({ label }) => !(Number.isInteger(label) && label >= 0 && label < length),
  )
  if (wrong) {
    throw new McLossError(
      'E_DATA',
      `datasets: expected labels 0..${length - 1} (${length} classes) but ${wrong.path} in the ` +
        `${split} split of ${name} has ${shown(wrong.label)}. Correct the label or the list of classes.`,
    )
  }
}

/** '1' and 1n are no labels, and look like one. */
function shown(label: unknown): string {
  if (typeof label === 'number') return String(label)
  return `the ${typeof label} ${typeof label === 'string' ? JSON.stringify(label) : String(label)}`
}

/** @throws McLossError E_DATA unless the wanted splits are sound and classes are named once each. */
export function checkDataset(dataset: Dataset, wanted?: Split): void {
  const seen = new Set<string>()
  const twice = dataset.classes.find((name) => seen.size === seen.add(name).size)
  if (twice !== undefined) {
    throw new McLossError('E_DATA', `datasets: the class '${twice}' is listed twice. Rename one.`)
  }
  for (const split of splitsOf(wanted)) checkSplit(dataset, split)
}
