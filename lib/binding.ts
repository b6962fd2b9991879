// The only file that loads the native add-on; contract.ts declares its interface.

import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { pathVariable } from '../scripts/setup/environment.mjs'
import type { NativeAddon, NativeTrainer, NativeTrainerConfig } from './contract.js'
import { McLossError, reasonOf } from './errors.js'
import { faultAt, systemReason } from './files/system-errors.js'
import { loadedLibraries, variablesInForce } from './libraries.js'
import { packageRoot } from './machine.js'
import { type TensorFiles, type WeightFiles, weightFiles } from './weights/index.js'

export type * from './contract.js'

/** Where the add-on is, if it was built. */
export const addonPath = () =>
  pathVariable('MCLOSS_NATIVE') ?? join(packageRoot, 'build', 'Release', 'mcloss.node')

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
  const path = addonPath()
  refuseSecondCopy(path)
  requireFolder()
  try {
    const addon: LoadedAddon = createRequire(import.meta.url)(path)
    addon.setErrorClass(McLossError)
    return addon
  } catch (cause) {
    throw new McLossError('E_NATIVE_LOAD', loadFailure(path, cause), { cause })
  }
}

/** oneMKL, which LibTorch calls, ends a process whose folder is gone. */
function requireFolder(): void {
  try {
    process.cwd()
  } catch (cause) {
    throw new McLossError('E_NATIVE_LOAD', `mcloss: ${systemReason(cause)}`, { cause })
  }
}

/**
 * The add-on's static initialisers register its operators with LibTorch by name, once a process: a
 * second add-on would end the process, so it is never opened. Of other versions, too, only the files
 * tell; in all threads alike. Several threads may have one add-on.
 */
function refuseSecondCopy(path: string): void {
  for (const other of loadedLibraries()) {
    if (!hasOperators(other)) continue
    if (!other.gone && isSameFile(other.path, path)) continue
    const replaced = other.gone && other.path === path
    throw new McLossError(
      'E_NATIVE_LOAD',
      replaced
        ? `mcloss: ${path} was replaced after this process had loaded it. Start the process anew.`
        : `mcloss: expected one copy of the native add-on in a process, but ${other.path} is loaded ` +
            `and ${path} would be the second. 'npm ls mcloss' shows who asks for which version, and ` +
            "'npm dedupe' makes one of equal ones; or use the other copy in a child process.",
    )
  }
}

function hasOperators({ path, gone }: { path: string; gone: boolean }): boolean {
  if (/^(mcloss\.node|libmcloss_ops\.so)$/.test(basename(path))) return true
  if (gone || !path.endsWith('.node')) return false
  try {
    return readFileSync(path).includes('mcloss::')
  } catch {
    return false // another package's, which this user may run but not read
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }))
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

function loadFailure(path: string, cause: unknown): string {
  const fault = faultAt(path)
  return [
    `mcloss: the native add-on could not be loaded: ${path}: ${fault ?? 'it does not load'}.`,
    reasonOf(cause),
    'What to do:',
    '  1. npx mcloss setup     builds the add-on with the LibTorch found here; --fetch fetches one',
    '  2. npx mcloss doctor    shows what was found on this machine',
    '  3. MCLOSS_NATIVE=/path/to/mcloss.node if the add-on was built elsewhere',
    ...variablesInForce().map(
      (name, index) => `  ${index + 4}. unset ${name}, which brings other libraries`,
    ),
  ].join('\n')
}
