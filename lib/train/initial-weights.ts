// The weights that a run begins with: which file model.weights means, and what became of it.

import { basename, dirname } from 'node:path'
import type { NativeTrainer } from '../binding.js'
import type { Config } from '../config/index.js'
import type { WeightsEvent } from '../events.js'
import { weightsFile } from '../weights/cache.js'
import type { Identity } from '../weights/identity.js'
import type { LoadedWeights } from '../weights/index.js'
import { type WeightRecord, weightRecord } from '../weights/records.js'
import { locate, modelFileOf } from './links.js'

export interface WeightsPlace {
  path: string
  /** Of a file that was fetched by its name. */
  record?: WeightRecord
}

/**
 * A file; the model of a run folder or checkpoint; a name that was fetched.
 *
 * @throws McLossError E_WEIGHTS for a name that was not fetched or is none; E_CHECKPOINT for a folder
 * without a model.
 */
export async function weightsPlace(weights: string): Promise<WeightsPlace> {
  // RUN/best/model.safetensors is a file also where best is no link.
  if ((await locate(weights, 'best')).path) return { path: await modelFileOf(weights) }
  if (weightRecord(weights)) return weightsFile(weights)
  // What was given without a folder was perhaps meant as a name, which the configuration cannot know.
  const isNameLike = dirname(weights) === process.cwd()
  return isNameLike ? weightsFile(basename(weights)) : { path: weights }
}

export function loadInitialWeights(
  trainer: NativeTrainer,
  { weightsKey, weightsPart, allowPartial = false }: Config['model'],
  path: string,
): Promise<LoadedWeights> {
  return trainer.loadWeights(path, {
    key: weightsKey,
    backboneOnly: weightsPart !== 'all',
    partial: allowPartial,
  })
}

/** What a checkpoint keeps of them. */
export type WeightsOrigin = Pick<WeightsEvent, 'path' | 'name' | 'bytes' | 'sha256' | 'part'>

export function originOf(
  { weightsPart = 'backbone' }: Config['model'],
  path: string,
  file: Identity,
) {
  const { record, bytes, sha256 } = file
  return { path, name: record?.name ?? null, bytes, sha256, part: weightsPart }
}
