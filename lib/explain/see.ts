// Pictures as a model sees them: how probable it finds each class, and the maps of some of them.

import type { Image } from '../data/images.js'
import { McLossError } from '../errors.js'
import { type ClassMaps, classMapsOf } from '../maps/class-maps.js'
import { seenPictures, type Windowed } from '../maps/seen.js'
import type { ChannelGroup } from '../mc-loss.js'
import { cutOf, type Model, notFinite } from '../predict/inference.js'
import { decoded, type Picture } from '../predict/pictures.js'
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
  const { trainer, config, file } = model
  const asked = [...pictures.keys()].filter((n) => pictures[n]?.error === undefined)
  const pictureAt = (at: number) => pictures[asked[at] as number] as Picture
  const report = (at: number, error: unknown) => {
    if (!(error instanceof McLossError && error.code === 'E_IMAGE')) throw error
    pictureAt(at).error = error
  }
  const paths = asked.map((_, at) => pictureAt(at).path)
  const bad = { has: () => false, report }
  for await (const batch of decoded(paths, config, cutOf(who, model), bad)) {
    const views = await viewsOf(trainer, batch, false)
    if (!views.every(([logits]) => logits?.every(Number.isFinite))) throw notFinite(who, file)
    const places = Array.from(batch.samples, (sample) => asked[sample] as number)
    const probabilities = views.map(probabilitiesOf)
    const labels = probabilities.map((of, row) => labelsOf(places[row] as number, ranked(of)))
    const maps = views.length > 0 ? await classMapsOf(trainer, batch, groups, labels) : []
    const images = seenPictures(batch as Windowed, config.data.crop)
    for (const [row, place] of places.entries()) {
      await see(place, {
        picture: images[row] as Image,
        probabilities: probabilities[row] as Float64Array,
        maps: maps[row] as ClassMaps[],
      })
    }
    batch.release()
  }
}
