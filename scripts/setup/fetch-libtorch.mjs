// @ts-check
// Fetches the pinned LibTorch into the cache folder: a PyTorch wheel holds all of LibTorch. Three
// ways in order: pip without an index (its configured folders), pip with an index, plain https.
// Size and SHA-256 are checked before unpacking; the finished folder moves into place by rename.

import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { read } from './child.mjs'
import { download, verify } from './download.mjs'
import { cachedLibtorch, libtorchAt, pinned } from './libtorch.mjs'
import { isThere } from './paths.mjs'
import { reasonOf, SetupError } from './setup-error.mjs'
import { unzip } from './zip.mjs'

/**
 * @typedef {typeof pinned} Wheel
 * @typedef {{name: string, get: (folder: string) => Promise<void>}} Way leaves the wheel in folder
 */

/** @param {string} message */
const say = (message) => process.stdout.write(`mcloss: ${message}\n`)

/**
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {Wheel} [options.wheel]
 * @param {Way[]} [options.ways]
 * @param {boolean} [options.force] fetch again although it is there
 * @returns {Promise<import('./libtorch.mjs').Libtorch>}
 */
export async function fetchLibtorch({ env = process.env, wheel = pinned, ways, force } = {}) {
  const target = cachedLibtorch(wheel.version, env)
  if (isThere(target) && !force) return libtorchAt(target, 'cache', env)
  await mkdir(dirname(target), { recursive: true })
  await removeStale(dirname(target))
  // Beside the target, so that the rename stays inside one file system.
  const temporary = await mkdtemp(`${target}.part-`)
  try {
    const archive = join(temporary, wheel.wheel)
    await getWheel(archive, wheel, ways ?? defaultWays(wheel, env))
    say(`unpacking to ${target}`)
    await unpackWheel(archive, join(temporary, 'torch'))
    if (force) await rm(target, { recursive: true, force: true })
    await moveInPlace(join(temporary, 'torch'), target)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return libtorchAt(target, 'cache', env)
}

/** @param {Wheel} wheel @param {NodeJS.ProcessEnv} env @returns {Way[]} */
function defaultWays(wheel, env) {
  return [
    { name: 'pip, no index', get: (folder) => pip(wheel, folder, ['--no-index'], env) },
    {
      name: 'pip',
      get: (folder) => pip(wheel, folder, ['--extra-index-url', wheel.index], env),
    },
    {
      name: 'https',
      get: (folder) =>
        download(
          `${wheel.index}/${encodeURIComponent(wheel.wheel)}`,
          join(folder, wheel.wheel),
          wheel,
        ),
    },
  ]
}

/**
 * pip for the wheel's own Python (3.11), whatever Python is here.
 * @param {Wheel} wheel @param {string} folder @param {string[]} index @param {NodeJS.ProcessEnv} env
 */
async function pip(wheel, folder, index, env) {
  const platform =
    '--only-binary=:all: --no-deps --python-version 311 --implementation cp --abi cp311'
  const { code, stderr } = await read(
    'python3',
    [
      ...['-m', 'pip', 'download', '--disable-pip-version-check', ...platform.split(' ')],
      ...['--platform', 'manylinux_2_28_x86_64', ...index, '--dest', folder, wheel.requirement],
    ],
    { env },
  )
  if (code !== 0) throw new SetupError(stderr.trim().split('\n').at(-1) ?? `exit code ${code}`)
}

/** @param {string} archive @param {Wheel} wheel @param {Way[]} ways */
async function getWheel(archive, wheel, ways) {
  const reasons = []
  for (const { name, get } of ways) {
    say(`fetching ${wheel.wheel} (${Math.round(wheel.size / 1e6)} MB): ${name}`)
    try {
      await get(dirname(archive))
      if (!isThere(archive)) throw new SetupError(`no file ${basename(archive)} came`)
      await verify(archive, wheel)
      return
    } catch (error) {
      await rm(archive, { force: true })
      reasons.push(`  ${name}: ${reasonOf(error)}`)
    }
  }
  throw new SetupError(
    [
      `mcloss: LibTorch ${wheel.version} could not be fetched.`,
      ...reasons,
      'What to do:',
      `  1. run it again with a network connection to ${new URL(wheel.index).host}; behind a proxy,`,
      '     with HTTPS_PROXY=http://host:port',
      '  2. pip install torch, then run it again: a Python torch is found by itself',
      '  3. unpack a LibTorch >= 2.11 from pytorch.org and set LIBTORCH to its folder',
    ].join('\n'),
  )
}

/**
 * LibTorch's part of a wheel: headers, libraries, CMake files, version, licences.
 * @param {string} archive
 * @param {string} folder made by this call
 */
export async function unpackWheel(archive, folder) {
  await mkdir(folder)
  await unzip(archive, folder, (name) => {
    if (/^torch\/(include\/|lib\/|share\/cmake\/|version\.py$)/.test(name)) return name.slice(6)
    const licence = /^torch-[^/]+\.dist-info\/(licenses\/.+)$/.exec(name)
    return licence?.[1]
  })
  libtorchAt(folder, basename(archive), { MCLOSS_BYPASS_VERSION_CHECK: '1' })
}

/** @param {string} from @param {string} target */
async function moveInPlace(from, target) {
  try {
    await rename(from, target)
  } catch (error) {
    // Another process was first: its copy was verified as ours was.
    if (!isThere(target)) throw error
  }
}

/** What a killed fetch left; a day old, so that no running one loses its files. */
async function removeStale(/** @type {string} */ cache) {
  for (const name of await readdir(cache)) {
    if (!/^libtorch-.*\.part-/.test(name)) continue
    const { mtimeMs } = await stat(join(cache, name))
    if (Date.now() - mtimeMs > 86_400_000) await rm(join(cache, name), { recursive: true })
  }
}
