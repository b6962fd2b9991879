// The pictures that prediction is asked about: files by name, or all in a folder, decoded as the
// model's own were.

import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Config } from '../config/index.js'
import { window } from '../data/augment.js'
import type { BadImages } from '../data/bad-images.js'
import type { Batch } from '../data/batch.js'
import { imagesIn } from '../data/folder-images.js'
import { streamBatches } from '../data/stream.js'
import { McLossError } from '../errors.js'
import { systemFault } from '../files/system-errors.js'

/** A file to decode; with an error there is none behind the path. */
export interface Picture {
  path: string
  error?: McLossError
}

/** The files among `paths` as they are, and the images in the folders among them. */
export async function picturesOf(
  who: string,
  paths: readonly string[],
  warn: (message: string) => void,
): Promise<Picture[]> {
  const pictures: Picture[] = []
  for (const path of paths) {
    const info = await stat(path).catch(() => undefined) // decoding says what a missing file is
    if (info?.isDirectory()) pictures.push(...(await picturesIn(who, path, warn)))
    else pictures.push({ path })
  }
  return pictures
}

async function picturesIn(
  who: string,
  folder: string,
  warn: (message: string) => void,
): Promise<Picture[]> {
  const { images, leftOut, unreadable } = await imagesIn(folder)
  if (leftOut.length > 0) {
    warn(
      `${who}: ${leftOut.length} files in ${folder} are no images by their ending and were left ` +
        `out, the first is ${leftOut[0]}.`,
    )
  }
  const pictures: Picture[] = images.map((path) => ({ path }))
  for (const { path, cause } of unreadable) {
    pictures.push(noPictures(who, path, `cannot be listed: ${systemFault(cause)}`, cause))
  }
  return pictures.length > 0 ? pictures : [noPictures(who, folder, 'has none')]
}

function noPictures(who: string, path: string, what: string, cause?: unknown): Picture {
  const message =
    `${who}: expected images ending in .jpg, .jpeg, .png or .webp in a folder that can be listed, ` +
    `but ${path} ${what}. Name the files, or another folder.`
  return { path, error: new McLossError('E_DATA', message, { cause }) }
}

/** Batches whose `samples` are positions in `paths`; empty where none of them can be decoded. */
export function decoded(
  paths: readonly string[],
  { data, optim }: Config,
  cropBottom: number,
  bad: BadImages,
): AsyncIterable<Batch> {
  const { top, left } = window(0, 0, 0, data, 'test')
  const { batchSize } = optim
  return streamBatches({
    samples: paths.map((path) => ({ path: resolve(path), label: 0, cropBottom })),
    size: data.resize,
    first: 0,
    end: Math.ceil(paths.length / batchSize),
    at: (index) => {
      const first = index * batchSize
      const length = Math.min(batchSize, paths.length - first)
      return Int32Array.from({ length }, (_, row) => first + row)
    },
    planOf: (index, good) => ({
      index,
      samples: good,
      labels: new Int32Array(good.length),
      windows: Int32Array.from({ length: 3 * good.length }, (_, at) => [top, left, 0][at % 3] ?? 0),
    }),
    most: batchSize,
    bad,
    prefetch: data.prefetch,
    decoders: data.decoders,
    signal: undefined,
  })
}
