// The registry of data sets: a name in the configuration to a reader.

import type { Dataset } from '../batch.js'
import { McLossError } from '../errors.js'
import { checkDataset } from './check.js'
import { CUB200_OFFICIAL, cub200 } from './cub200.js'
import { type DrawnBirdsOptions, drawnBirds } from './drawn-birds.js'
import { imageFolder } from './image-folder.js'

export { type BirdDrawing, type DrawnBird, drawBird } from './bird-drawing.js'
export { CUB200_OFFICIAL, type Cub200Counts, cub200 } from './cub200.js'
export { type DrawnBirdsOptions, drawnBirds, writeDrawnBirds } from './drawn-birds.js'
export { imageFolder } from './image-folder.js'

/** A data set by name and folder (drawn-birds: see DrawnBirdsOptions), or one of one's own. */
export interface DatasetOptions extends Omit<DrawnBirdsOptions, 'root'> {
  name?: string | undefined
  root?: string | undefined
  dataset?: Dataset | undefined
  /** Other counts than the official ones are an E_DATA. Default false. */
  strict?: boolean | undefined
  /** Every listed file must exist. Default true. */
  checkFiles?: boolean | undefined
}

type ReaderOptions = DrawnBirdsOptions & Pick<DatasetOptions, 'strict' | 'checkFiles'>

const readers = new Map<string, (options: ReaderOptions) => Promise<Dataset>>([
  ['image-folder', ({ root }) => imageFolder(root)],
  ['cub200', ({ root, checkFiles }) => cub200(root, CUB200_OFFICIAL, checkFiles)],
  ['drawn-birds', drawnBirds],
])

export const datasetNames = [...readers.keys()]

/**
 * Opens a data set: reads its lists and checks them, opens no image.
 *
 * @throws McLossError E_CONFIG for an unknown name, E_DATA for data that does not hold together.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const { dataset, name = 'own', root = '' } = options
  if (dataset) {
    checkDataset(dataset)
    return dataset
  }
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
