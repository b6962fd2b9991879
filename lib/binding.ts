// The only file that loads the native add-on; contract.ts declares its interface.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { NativeAddon, NativeTrainer, NativeTrainerConfig } from './contract.js'
import { McLossError, reasonOf } from './errors.js'
import { faultAt } from './files/system-errors.js'
import { packageRoot } from './machine.js'
import { type TensorFiles, type WeightFiles, weightFiles } from './weights/index.js'

export type * from './contract.js'

/** Where the add-on is, if it was built. */
export const addonPath = () =>
  process.env.MCLOSS_NATIVE || join(packageRoot, 'build', 'Release', 'mcloss.node')

let loaded: NativeAddon | undefined

/**
 * The add-on, loaded on first use.
 * @throws McLossError E_NATIVE_LOAD when it is not built or cannot be loaded.
 */
export function native(): NativeAddon {
  loaded ??= load()
  return loaded
}

/** The add-on itself: its trainers take files of weights open, with a table of their tensors. */
interface LoadedAddon extends Omit<NativeAddon, 'NativeTrainer'> {
  NativeTrainer: {
    create(
      config: NativeTrainerConfig,
    ): Promise<Omit<NativeTrainer, keyof WeightFiles> & TensorFiles>
  }
}

function load(): NativeAddon {
  const addon = loadAddon()
  const create = async (config: NativeTrainerConfig): Promise<NativeTrainer> => {
    const trainer = await addon.NativeTrainer.create(config)
    return Object.assign(trainer, weightFiles(trainer))
  }
  return { ...addon, NativeTrainer: { create } }
}

function loadAddon(): LoadedAddon {
  const require = createRequire(import.meta.url)
  const override = process.env.MCLOSS_NATIVE
  try {
    const addon: LoadedAddon = override
      ? require(override)
      : require('bindings')({ bindings: 'mcloss', module_root: packageRoot })
    addon.setErrorClass(McLossError)
    return addon
  } catch (cause) {
    throw new McLossError('E_NATIVE_LOAD', loadFailure(cause), { cause })
  }
}

function loadFailure(cause: unknown): string {
  const path = addonPath()
  const fault = faultAt(path)
  return [
    `mcloss: the native add-on could not be loaded: ${path}: ${fault ?? 'it does not load'}.`,
    reasonOf(cause),
    'What to do:',
    '  1. npx mcloss setup     builds the add-on with the LibTorch found here; --fetch fetches one',
    '  2. npx mcloss doctor    shows what was found on this machine',
    '  3. MCLOSS_NATIVE=/path/to/mcloss.node if the add-on was built elsewhere',
  ].join('\n')
}
