// @ts-check
// Finds a LibTorch on this machine. In order: LIBTORCH; Python's torch; the copy that
// `mcloss setup --fetch` put into the cache folder. What the user named is taken or refused, never
// passed over; what was merely found may be passed over, with its reason.

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { read } from './child.mjs'
import { isOn, pathVariable } from './environment.mjs'
import { cacheFolder, isThere } from './paths.mjs'
import { reasonOf, SetupError } from './setup-error.mjs'

/**
 * @typedef {object} Libtorch
 * @property {string} path the folder that holds include/ and lib/
 * @property {string} version e.g. '2.13.0+cpu'
 * @property {boolean} cuda a CUDA build
 * @property {string} source who named it: 'LIBTORCH', '--libtorch', 'python3', 'cache'
 */

/** The wheel that `mcloss setup --fetch` fetches. */
export const pinned = {
  version: '2.13.0+cpu',
  requirement: 'torch==2.13.0+cpu',
  wheel: 'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
  size: 191_794_682,
  sha256: '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
  index: 'https://download.pytorch.org/whl/cpu',
}

const oldest = '2.11'
const parts = [
  'include/torch/csrc/api/include/torch/torch.h',
  'lib/libtorch.so',
  'lib/libtorch_cpu.so',
  'lib/libc10.so',
]

/** @param {string} version */
export const cachedLibtorch = (version, env = process.env) =>
  join(cacheFolder(env), `libtorch-${version}`)

/**
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{libtorch: Libtorch | undefined, passedOver: string[]}>}
 * @throws {SetupError} when LIBTORCH or LIBTORCH_USE_PYTORCH=1 names one that cannot be used
 */
export async function findLibtorch(env = process.env) {
  if (isOn('LIBTORCH_USE_PYTORCH', env)) {
    return { libtorch: await requiredPythonTorch(env), passedOver: [] }
  }
  const named = pathVariable('LIBTORCH', env)
  if (named) return { libtorch: libtorchAt(named, 'LIBTORCH', env), passedOver: [] }

  const passedOver = []
  const cached = cachedLibtorch(pinned.version, env)
  const python = await pythonTorch(env)
  const candidates = [
    { find: () => python, source: 'python3' },
    { find: () => (isThere(cached) ? cached : undefined), source: 'cache' },
  ]
  for (const { find, source } of candidates) {
    try {
      const path = find()
      if (!path) continue
      return { libtorch: libtorchAt(path, source, env), passedOver }
    } catch (error) {
      passedOver.push(reasonOf(error))
    }
  }
  return { libtorch: undefined, passedOver }
}

/**
 * The LibTorch in a folder, or in its torch/ or libtorch/ (a site-packages, an unpacked archive).
 * @param {string} folder
 * @param {string} source
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Libtorch}
 */
export function libtorchAt(folder, source, env = process.env) {
  const given = resolve(folder)
  const tried = [given, join(given, 'torch'), join(given, 'libtorch')]
  const path = tried.find((place) => parts.every((part) => isThere(join(place, part))))
  if (!path) {
    const missing = parts.filter((part) => !isThere(join(given, part)))
    throw new SetupError(
      `mcloss: ${source} names ${given}, which holds no LibTorch: expected include/ and lib/ in it ` +
        `or in its torch/, but ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing. ` +
        'Name the folder that holds include/ and lib/, or unset it and run: npx mcloss setup --fetch',
    )
  }
  const version = versionOf(path)
  if (olderThan(version, oldest) && !isOn('MCLOSS_BYPASS_VERSION_CHECK', env)) {
    throw new SetupError(
      `mcloss: expected LibTorch >= ${oldest} but ${path} (${source}) is ${version}. ` +
        'Name a newer one with LIBTORCH, or run: npx mcloss setup --fetch. ' +
        'MCLOSS_BYPASS_VERSION_CHECK=1 builds with it all the same.',
    )
  }
  return { path, version, cuda: isThere(join(path, 'lib/libtorch_cuda.so')), source }
}

/** Major and minor compared as numbers. @param {string} version @param {string} other */
function olderThan(version, other) {
  /** @param {string} text */
  const rank = (text) => {
    const [major = 0, minor = 0] = text.split('.').map((part) => Number.parseInt(part, 10))
    return major * 1000 + minor
  }
  return rank(version) < rank(other)
}

/** @param {string} path */
function versionOf(path) {
  const python = /^__version__ = '([^']+)'/m.exec(textOf(join(path, 'version.py')))
  if (python?.[1]) return python[1]
  const archive = textOf(join(path, 'build-version')).trim()
  if (archive) return archive
  for (const header of ['headeronly', 'csrc/api/include/torch']) {
    const text = textOf(join(path, 'include/torch', header, 'version.h'))
    const numbers = ['MAJOR', 'MINOR', 'PATCH'].map(
      (name) => new RegExp(`define TORCH_VERSION_${name} (\\d+)`).exec(text)?.[1],
    )
    if (numbers.every(Boolean)) return numbers.join('.')
  }
  throw new SetupError(
    `mcloss: the version of the LibTorch in ${path} cannot be read: expected version.py, ` +
      'build-version or include/torch/headeronly/version.h. Is the copy complete?',
  )
}

/** @param {string} path */
const textOf = (path) => (isThere(path) ? readFileSync(path, 'utf8') : '')

/** @param {NodeJS.ProcessEnv} env */
async function requiredPythonTorch(env) {
  const path = await pythonTorch(env)
  if (path) return libtorchAt(path, 'python3', env)
  throw new SetupError(
    'mcloss: LIBTORCH_USE_PYTORCH=1 asks for the LibTorch of Python, but python3 on PATH finds no ' +
      'module torch. Activate the environment that has it, or unset LIBTORCH_USE_PYTORCH.',
  )
}

/** The folder of Python's torch; torch itself is not imported, which would take seconds. */
async function pythonTorch(/** @type {NodeJS.ProcessEnv} */ env) {
  // The working folder is taken off the path: a folder named torch in it is no module.
  const program = [
    'import sys, importlib.util',
    'sys.path = [p for p in sys.path if p]',
    'spec = importlib.util.find_spec("torch")',
    'print(spec.submodule_search_locations[0] if spec and spec.origin else "")',
  ].join('\n')
  const { code, stdout } = await read('python3', ['-c', program], { env })
  return code === 0 && stdout.trim() ? stdout.trim() : undefined
}
