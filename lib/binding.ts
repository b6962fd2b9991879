// The only file that loads the native add-on; contract.ts declares its interface.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { NativeAddon } from './contract.js'
import { McLossError, reasonOf } from './errors.js'
import { packageRoot } from './machine.js'

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

function load(): NativeAddon {
  const require = createRequire(import.meta.url)
  const override = process.env.MCLOSS_NATIVE
  try {
    const addon = override
      ? (require(override) as NativeAddon)
      : (require('bindings')({ bindings: 'mcloss', module_root: packageRoot }) as NativeAddon)
    addon.setErrorClass(McLossError)
    return addon
  } catch (cause) {
    throw new McLossError('E_NATIVE_LOAD', loadFailure(cause), { cause })
  }
}

function loadFailure(cause: unknown): string {
  const path = addonPath()
  const state = existsSync(path) ? 'is there but does not load' : 'is not there'
  return [
    `mcloss: the native add-on could not be loaded: ${path} ${state}.`,
    reasonOf(cause),
    'What to do:',
    '  1. npx mcloss setup     builds the add-on with the LibTorch found here; --fetch fetches one',
    '  2. npx mcloss doctor    shows what was found on this machine',
    '  3. MCLOSS_NATIVE=/path/to/mcloss.node if the add-on was built elsewhere',
  ].join('\n')
}
