// Pictures as a model sees them: how probable it finds each class, and the maps of some of them.

import { resolve } from 'node:path'
import { heightWidth } from '../data/batch.js'
import type { Image } from '../data/images.js'
import { gate } from '../data/pool.js'
import { decodeRows } from '../data/stream.js'
import { McLossError } from '../errors.js'
import { type ClassMaps, classMapsOf } from '../maps/class-maps.js'
import type { ChannelGroup } from '../mc-loss.js'
import { seenPictures } from '../pictures/seen.js'
import { cutOf, type Model, notFinite } from '../predict/model.js'
import { batchOf } from '../predict/outputs.js'
import type { Picture } from '../predict/pictures.js'
import { probabilitiesOf, ranked, viewsOf } from '../predict/views.js'

export interface Seen {
  picture: Image
  /** [K] */
  probabilities: Float64Array
  /** Of the classes asked for, in their order. */
  maps: ClassMaps[]
}

export interface Wanted {
  who: string
  model: Model
  groups: readonly ChannelGroup[]
  /** Which classes of picture n, given all of them, the most probable first. */
  labelsOf: (n: number, ranked: number[]) => number[]
}

/**
 * Calls `see` with every picture that can be decoded, in their order, and gives the others an error.
 *
 * @throws McLossError E_NUMERICS for a model whose outputs are not finite.
 */
export async function seeEach(
  pictures: readonly Picture[],
  { who, model, groups, labelsOf }: Wanted,
  see: (n: number, seen: Seen) => void | Promise<void>,
): Promise<void> {
  const { trainer } = model
  const { data, optim } = model.config
  const cropBottom = cutOf(who, model)
  const size = heightWidth(data.resize)
  const decoding = gate(data.decoders)
  const asked = [...pictures.entries()].filter(([, { error }]) => error === undefined)
  for (let first = 0; first < asked.length; first += optim.batchSize) {
    const some = asked.slice(first, first + optim.batchSize)
    const buffer = new Uint8Array(some.length * size[0] * size[1] * 3)
    const report = (row: number, error: unknown) => {
      if (!(error instanceof McLossError && error.code === 'E_IMAGE')) throw error
      ;(some[row] as (typeof some)[0])[1].error = error
    }
    const files = some.map(([, { path }]) => ({ path: resolve(path), cropBottom }))
    const rows = { size, buffer, decoding, isOver: () => false, report }
    const good = await decodeRows(files, rows)
    if (good.length === 0) continue
    const batch = batchOf(buffer, good.length, data)
    const views = await viewsOf(trainer, batch, false)
    if (!views.every(([logits]) => logits?.every(Number.isFinite))) throw notFinite(who, model)
    const places = good.map((row) => (some[row] as (typeof some)[0])[0])
    const probabilities = views.map(probabilitiesOf)
    const labels = probabilities.map((of, at) => labelsOf(places[at] as number, ranked(of)))
    const maps = await classMapsOf(trainer, batch, groups, labels)
    const images = await seenPictures(batch, data)
    for (const [at, place] of places.entries()) {
      await see(place, {
        picture: images[at] as Image,
        probabilities: probabilities[at] as Float64Array,
        maps: maps[at] as ClassMaps[],
      })
    }
  }
}
