// The native trainer of a configuration.

import { checkArgument, count } from '../arguments.js'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, type ConfigInput, completeConfig, nativeConfig } from '../config/index.js'
import { normalisationOf } from '../config/normalisation.js'
import { identify } from '../weights/identity.js'
import type { LoadedWeights } from '../weights/index.js'
import { givenClassWeights } from './class-weights.js'
import { loadInitialWeights, weightsPlace } from './initial-weights.js'

/** The native trainer, for a loop of one's own (examples/own-loop.ts). */
export const Trainer = {
  /**
   * Builds the model of a configuration for `numClasses` classes with weights from config.seed, or from
   * config.model.weights. data.mean and data.std that are left out are those of the weights' record,
   * else 0.5. data.classWeights may be a list, which is taken as it stands. Call dispose() when done.
   *
   * @throws McLossError E_ARGUMENT, E_CONFIG, E_DEVICE, E_WEIGHTS, E_CHECKPOINT, E_IO.
   */
  async create(given: Config | ConfigInput, numClasses: number): Promise<NativeTrainer> {
    const config = completeConfig('Trainer.create', given)
    checkArgument('Trainer.create', 'numClasses', count, numClasses)
    const { data, model } = config
    const place = model.weights === undefined ? undefined : await weightsPlace(model.weights)
    const isKnown = data.mean !== undefined && data.std !== undefined
    const { record } = place && !isKnown ? await identify(place.path, place.record) : {}
    const { mean, std } = normalisationOf(data, { record })
    const resolved = { ...config, data: { ...data, mean, std } }
    const classWeights = givenClassWeights(data.classWeights, numClasses)
    return (await createTrainer(resolved, numClasses, place?.path, classWeights)).trainer
  },
}

/** The trainer of a complete configuration, and what it took of the weights at `path`. */
export async function createTrainer(
  config: Config,
  numClasses: number,
  path: string | undefined,
  classWeights: number[] | undefined,
): Promise<{ trainer: NativeTrainer; loaded?: LoadedWeights }> {
  const trainer = await native().NativeTrainer.create(
    nativeConfig(config, numClasses, classWeights),
  )
  if (path === undefined) return { trainer }
  try {
    return { trainer, loaded: await loadInitialWeights(trainer, config.model, path) }
  } catch (error) {
    await trainer.dispose()
    throw error
  }
}
