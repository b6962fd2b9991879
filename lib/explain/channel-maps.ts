// channelMaps: what the channels of the predicted class see, of each picture, as arrays.

import { z } from 'zod'
import { checkArgument, record, text } from '../arguments.js'
import { nativeConfig } from '../config/index.js'
import type { McLossError } from '../errors.js'
import type { ClassMaps } from '../maps/class-maps.js'
import { groupsOf } from '../maps/groups.js'
import { type ModelOptions, openModel, tellNative } from '../predict/model.js'
import { type Picture, picturesOf } from '../predict/pictures.js'
import { seeEach } from './see.js'

export interface ChannelMapsOptions extends Omit<ModelOptions, 'flip'> {
  /** JPEG, PNG or WebP files, or folders of them. */
  images: readonly string[]
}

/** The maps of one picture. */
export interface ChannelMaps extends ClassMaps {
  path: string
  /** The predicted class, and its name and probability. */
  label: number
  class: string
  probability: number
  error?: undefined
}

/** Why there are none: E_IMAGE, or E_DATA for a folder without images. */
export interface NoChannelMaps {
  path: string
  error: McLossError
}

/** What every function of this room takes of a model. */
export const modelShape = record({
  weights: text,
  ema: z.boolean().optional(),
  device: z.enum(['cpu', 'cuda']).optional(),
  batchSize: z.int().min(1).optional(),
  images: z.array(text),
})

/**
 * Of each picture the maps of the channels that the predicted class owns, [xi, H, W], their maximum
 * `ccmp`, [H, W], and `h`. A model that was trained without MC-Loss has the same groups of channels. A
 * file that cannot be decoded has an error in their place.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS for weights that cannot be used; E_CONFIG for a model with
 * fewer channels than classes; E_NUMERICS for one whose outputs are not finite.
 */
export async function channelMaps(
  options: ChannelMapsOptions,
): Promise<(ChannelMaps | NoChannelMaps)[]> {
  checkArgument('channelMaps', 'options', modelShape, options)
  const model = await openModel(options)
  try {
    const groups = groupsOf('channelMaps', nativeConfig(model.config, model.classes.length).model)
    const pictures = await picturesOf('channelMaps', options.images, model.warn)
    const labelsOf = (_: number, best: number[]) => best.slice(0, 1)
    const found = new Map<number, ChannelMaps>()
    await seeEach(pictures, { who: 'channelMaps', model, groups, labelsOf }, (n, seen) => {
      const maps = seen.maps[0] as ClassMaps
      const name = model.classes[maps.label] as string
      const probability = seen.probabilities[maps.label] as number
      const { path } = pictures[n] as Picture
      found.set(n, { path, class: name, probability, ...maps })
    })
    await tellNative(model)
    return pictures.map(
      ({ path, error }, n) => found.get(n) ?? { path, error: error as McLossError },
    )
  } finally {
    await model.trainer.dispose()
  }
}
