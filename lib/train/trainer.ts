// The native trainer of a configuration.

import { checkArgument, count } from '../arguments.js'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, type ConfigInput, completeConfig, nativeConfig } from '../config/index.js'
import { locate } from './links.js'

/** The native trainer, for a loop of one's own (examples/own-loop.ts). */
export const Trainer = {
  /**
   * Builds the model of a configuration for `numClasses` classes with weights from config.seed, or from
   * config.model.weights. Call dispose() when done.
   *
   * @throws McLossError E_ARGUMENT, E_CONFIG, E_DEVICE, E_WEIGHTS.
   */
  async create(given: Config | ConfigInput, numClasses: number): Promise<NativeTrainer> {
    const config = completeConfig('Trainer.create', given)
    checkArgument('Trainer.create', 'numClasses', count, numClasses)
    const trainer = await native().NativeTrainer.create(nativeConfig(config, numClasses))
    const { weights } = config.model
    if (weights === undefined) return trainer
    try {
      // RUN/best/model.safetensors is a file also where best is no link.
      const { path = weights } = await locate(weights, 'best')
      await trainer.loadWeights(path, { backboneOnly: true })
      return trainer
    } catch (error) {
      await trainer.dispose()
      throw error
    }
  },
}
