// The registry of data sets: a name in the configuration to a reader.

import { McLossError } from '../../errors.js'
import type { Dataset } from '../batch.js'
import { csv } from './csv.js'
import { cub200 } from './cub200.js'
import { type DrawnBirdsOptions, drawnBirds } from './drawn-birds.js'
import { fgvcAircraft } from './fgvc-aircraft.js'
import { flowers102 } from './flowers102.js'
import { imageFolder } from './image-folder.js'
import { checkDataset } from './lists/check.js'
import type { ReaderOptions } from './lists/reader.js'
import { stanfordCars } from './stanford-cars.js'

export { type BirdDrawing, type DrawnBird, drawBird } from './birds/drawing.js'
export { csv } from './csv.js'
export { CUB200_OFFICIAL, cub200 } from './cub200.js'
export { type DrawnBirdsOptions, drawnBirds, writeDrawnBirds } from './drawn-birds.js'
export { AIRCRAFT_OFFICIAL, fgvcAircraft } from './fgvc-aircraft.js'
export { FLOWERS102_OFFICIAL, flowers102 } from './flowers102.js'
export { imageFolder } from './image-folder.js'
export type { Counts } from './lists/counts.js'
export type { AircraftLevel, ReaderOptions } from './lists/reader.js'
export { CARS_OFFICIAL, stanfordCars } from './stanford-cars.js'

type AnyReaderOptions = ReaderOptions & DrawnBirdsOptions

/** A data set by name, folder and what its reader takes, or one of one's own. */
export interface DatasetOptions extends Omit<AnyReaderOptions, 'root'> {
  name?: string | undefined
  root?: string | undefined
  dataset?: Dataset | undefined
  /** What a reader would warn of is an error. Default false. */
  strict?: boolean | undefined
}

const readers = new Map<string, (options: AnyReaderOptions) => Promise<Dataset>>([
  ['image-folder', imageFolder],
  ['csv', csv],
  ['cub200', cub200],
  ['fgvc-aircraft', fgvcAircraft],
  ['flowers102', flowers102],
  ['stanford-cars', stanfordCars],
  ['drawn-birds', drawnBirds],
])

export const datasetNames = [...readers.keys()]

/**
 * Opens a data set: reads its lists and checks them, opens no image.
 *
 * @throws McLossError E_CONFIG for an unknown name, E_DATA for data that does not hold together,
 * or with `strict` that its reader warns of.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const dataset = options.dataset ?? (await readByName(options))
  if (options.dataset) checkDataset(dataset)
  const warnings = dataset.warnings ?? []
  if (!options.strict || warnings.length === 0) return dataset
  throw new McLossError(
    'E_DATA',
    `${warnings.join(' ')} Unpack the official download again, or set data.strict to false.`,
  )
}

async function readByName(options: DatasetOptions): Promise<Dataset> {
  const { name = 'own', root = '' } = options
  const read = readers.get(name)
  if (read) return read({ ...options, root })
  throw new McLossError(
    'E_CONFIG',
    name === 'own'
      ? "datasets: data.name 'own' stands for a Dataset object that a script gives as data.dataset; " +
          'give it again.'
      : `datasets: expected data.name to be one of ${datasetNames.join(', ')} but received '${name}'.`,
  )
}
