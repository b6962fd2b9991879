// The registry of data sets: a name in the configuration to a reader and what it takes.

import { resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, record, text } from '../../arguments.js'
import { McLossError } from '../../errors.js'
import type { Dataset } from '../batch.js'
import { checkDataset, datasetShape } from './lists/check.js'
import * as readers from './readers.js'

export { type BirdDrawing, type DrawnBird, drawBird } from './birds/drawing.js'
export type { Counts } from './lists/counts.js'
export type { ReaderOptions } from './lists/reader.js'
export * from './readers.js'

const registry = {
  'image-folder': { read: readers.imageFolder, options: {} },
  csv: { read: readers.csv, options: {} },
  cub200: { read: readers.cub200, options: {} },
  'fgvc-aircraft': { read: readers.fgvcAircraft, options: readers.aircraftOptions },
  flowers102: { read: readers.flowers102, options: {} },
  'stanford-cars': { read: readers.stanfordCars, options: {} },
  'drawn-birds': { read: readers.drawnBirds, options: readers.drawnBirdsOptions },
} satisfies Record<string, { read: unknown; options: z.ZodRawShape }>

export type DatasetName = keyof typeof registry
type Entry = (typeof registry)[DatasetName]

export const datasetNames = Object.keys(registry) as DatasetName[]

/** What T1 | T2 | ... have between them, as T1 & T2 & ... */
type All<Union> = (Union extends unknown ? (one: Union) => void : never) extends (
  all: infer Each,
) => void
  ? Each
  : never

/** What the readers take beyond a root: the keys of each, and what they mean. */
export const readerOptions = new Map<string, z.ZodRawShape>(
  datasetNames.map((name) => [name, registry[name].options]),
)
export type ReaderShape = All<Entry['options']>

type AnyReaderOptions = All<Parameters<Entry['read']>[0]>

/** A data set by name, folder and what its reader takes, or one of one's own. */
export interface DatasetOptions extends Omit<AnyReaderOptions, 'root'> {
  name?: string | undefined
  root?: string | undefined
  dataset?: Dataset | undefined
  /** What a reader would warn of is an error. Default false. */
  strict?: boolean | undefined
}

const optionsShape = record({
  name: text.optional(),
  root: text.optional(),
  dataset: datasetShape.optional(),
  strict: z.boolean().optional(),
})

/**
 * Opens a data set: reads its lists and checks them, opens no image.
 *
 * @throws McLossError E_CONFIG for an unknown name, E_DATA for data that does not hold together,
 * or with `strict` that its reader warns of.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  checkArgument('datasets.openDataset', 'options', optionsShape, options)
  const dataset = options.dataset ?? (await readByName(options))
  if (options.dataset) checkDataset(dataset, options.split)
  const both = inBothSplits(dataset)
  const warnings = [...(dataset.warnings ?? []), ...both]
  if (!options.strict || warnings.length === 0)
    return both.length > 0 ? { ...dataset, warnings } : dataset
  throw new McLossError(
    'E_DATA',
    `${warnings.join(' ')} Unpack the official download again, or set data.strict to false.`,
  )
}

/** What a model has been trained on says nothing of images that it has not seen. */
function inBothSplits({ train, test }: Dataset): string[] {
  const trained = new Set(train.map(({ path }) => resolve(path)))
  const both = test.filter(({ path }) => trained.has(resolve(path)))
  const [first] = both
  if (!first) return []
  return [
    `datasets: ${both.length} of ${test.length} test images are training images too, the first ` +
      `${first.path}. The test figures are too good; take them out of one split.`,
  ]
}

async function readByName(options: DatasetOptions): Promise<Dataset> {
  const { name = 'own', root = '' } = options
  const entry = Object.hasOwn(registry, name) ? registry[name as DatasetName] : undefined
  if (entry) {
    checkArgument('datasets.openDataset', 'options.root', text, options.root)
    // Absolute, so that messages say where it was looked.
    return entry.read({ ...options, root: root && resolve(root) })
  }
  throw new McLossError(
    'E_CONFIG',
    name === 'own'
      ? "datasets: data.name 'own' stands for a Dataset object that a script gives as data.dataset; " +
          'give it again.'
      : `datasets: expected data.name to be one of ${datasetNames.join(', ')} but received '${name}'.`,
  )
}
