// explain.images: what the model sees in a few pictures, drawn at each evaluation into RUN/maps. It only
// reads the model, so nothing that is trained depends on it.

import { mkdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { NativeBatch, NativeTrainer, PixelSource } from '../binding.js'
import { type Config, nativeConfig } from '../config/index.js'
import { testWindows } from '../data/augment.js'
import type { Dataset } from '../data/batch.js'
import { decodeTo } from '../data/images.js'
import { preprocessingOf } from '../data/preprocessing.js'
import { classMapsOf } from '../maps/class-maps.js'
import { groupsOf } from '../maps/groups.js'
import { mapsSheet } from '../maps/sheet.js'
import { seenPictures } from '../pictures/seen.js'
import { orNotWritten, replaceRecord } from '../records/files.js'
import { mapsFile, mapsFolder } from '../records/map-files.js'

export interface MapSheets {
  /** Writes RUN/maps/epoch-NNNN.png. `epochs`: how many are done. @throws McLossError E_IO */
  write(trainer: NativeTrainer, runDir: string, epochs: number): Promise<void>
}

/**
 * Decodes the pictures, once; none: without any.
 *
 * @throws McLossError E_IMAGE for one that cannot be decoded, E_CONFIG for a model with fewer channels
 * than classes.
 */
export async function openMapSheets(config: Config, dataset: Dataset): Promise<MapSheets> {
  const { images } = config.explain
  if (images.length === 0) return { write: async () => {} }
  const { classes } = dataset
  const groups = groupsOf('explain.images', nativeConfig(config, classes.length).model)
  const batch = await batchOf(images, config, dataset)
  const pictures = await seenPictures(batch, config.data)
  return {
    async write(trainer, runDir, epochs) {
      const { predictions, predictedProbabilities } = await trainer.evaluate(batch)
      const labels = Array.from(predictions, (label) => [label])
      const all = await classMapsOf(trainer, batch, groups, labels)
      const lines = all.flat().map((maps, n) => {
        const percent = (100 * (predictedProbabilities[n] as number)).toFixed(1)
        const name = `${basename(images[n] as string)}: ${classes[maps.label]}, ${percent} %`
        const title = `${name}, h ${maps.h.toFixed(2)} of ${maps.shape[0]}`
        return { picture: pictures[n] as (typeof pictures)[0], title, maps }
      })
      const folder = mapsFolder(runDir)
      await orNotWritten(folder, () => mkdir(folder, { recursive: true }))
      await replaceRecord(join(folder, mapsFile(epochs)), await mapsSheet(lines))
    },
  }
}

/** Labels are there because evaluation asks for some. */
async function batchOf(
  images: readonly string[],
  { data }: Config,
  dataset: Dataset,
): Promise<NativeBatch & PixelSource> {
  const [height, width] = data.resize
  const samples = new Map(
    [...dataset.train, ...dataset.test].map((one) => [resolve(one.path), one]),
  )
  const cut = preprocessingOf(dataset).cropBottom ?? 0
  const bytes = height * width * 3
  const pixels = new Uint8Array(images.length * bytes)
  for (const [n, path] of images.entries()) {
    const { cropBottom = cut } = samples.get(path) ?? {}
    await decodeTo({ path, cropBottom }, data.resize, pixels.subarray(n * bytes, (n + 1) * bytes))
  }
  const windows = testWindows(images.length, data)
  const labels = new Int32Array(images.length)
  return { count: images.length, pixels, height, width, windows, labels }
}
