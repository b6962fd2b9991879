// @ts-check
// Builds the native add-on with cmake-js into build/ and records the LibTorch in use in
// build/libtorch.json. A build whose inputs have not changed is not repeated.
//
//   node scripts/setup/build.mjs [--libtorch PATH] [--tests] [--bench] [--force]

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { read, show } from './child.mjs'
import { cxx, findNvcc } from './compilers.mjs'
import { findLibtorch, libtorchAt } from './libtorch.mjs'
import { hashOf, isThere, packageJson, packageRoot } from './paths.mjs'
import { reasonOf, runAsProgram, SetupError } from './setup-error.mjs'

/** @typedef {import('./libtorch.mjs').Libtorch} Libtorch */
/** @typedef {'tests' | 'bench'} Program */

/** C++ programs built beside the add-on when asked for: CMake option, sources, the result. */
export const programs = {
  tests: { option: 'MCLOSS_TESTS', sources: ['test/native'], output: 'ops_test' },
  bench: { option: 'MCLOSS_BENCH', sources: ['bench/driver.cpp'], output: 'Release/bench_driver' },
}

/** One translation unit with LibTorch's headers takes up to 2 GiB in the compiler. */
const gibPerJob = 2

/**
 * @param {Libtorch} libtorch
 * @param {object} [options]
 * @param {Program[]} [options.extra] programs to build too
 * @param {boolean} [options.force] build although nothing changed
 * @param {string} [options.out] build folder
 * @param {Record<string, string>} [options.defines] further CMake variables
 * @returns {Promise<boolean>} whether anything was built
 */
export async function build(libtorch, { extra = [], force, out, defines = {} } = {}) {
  const folder = out ?? join(packageRoot, 'build')
  const addon = join(folder, 'Release', 'mcloss.node')
  const record = join(folder, 'libtorch.json')
  const inputs = hashOf(['native', 'CMakeLists.txt'])
  const hashes = Object.fromEntries(extra.map((name) => [name, hashOf(programs[name].sources)]))
  // A CUDA build without nvcc lacks mcloss's own CUDA operators.
  const nvcc = libtorch.cuda ? (findNvcc() ?? null) : null
  const state = { ...libtorch, nvcc, mcloss: packageJson.version, inputs, defines }

  const { programs: built = {}, ...before } = readRecord(record)
  const same =
    isDeepStrictEqual({ ...before, source: libtorch.source }, state) &&
    existsSync(addon) &&
    extra.every(
      (name) => built[name] === hashes[name] && existsSync(join(folder, programs[name].output)),
    )
  if (same && !force) return false

  await checkTools()
  process.stdout.write(`mcloss: building with ${describe(libtorch)}\n`)
  // What is half built is not recorded; a cache of another place or generator stops CMake.
  rmSync(record, { force: true })
  rmSync(join(folder, 'CMakeCache.txt'), { force: true })
  const options = {
    LIBTORCH: libtorch.path,
    ...Object.fromEntries(
      Object.entries(programs).map(([name, { option }]) => [
        option,
        extra.includes(/** @type {Program} */ (name)) ? 'ON' : 'OFF',
      ]),
    ),
    ...defines,
  }
  // 'build' alone would not configure again with other options.
  await cmakeJs('configure', folder, options)
  await cmakeJs('build', folder, options)
  if (!existsSync(addon)) throw new SetupError(`mcloss: the build ended without ${addon}.`)
  // Objects serve later builds in a clone only.
  if (packageRoot.includes('/node_modules/'))
    rmSync(join(folder, 'CMakeFiles'), { recursive: true })
  mkdirSync(dirname(record), { recursive: true })
  writeFileSync(record, `${JSON.stringify({ ...state, programs: hashes }, null, 2)}\n`)
  process.stdout.write(`mcloss: built ${addon}\n`)
  return true
}

/** @param {Libtorch} libtorch */
export const describe = ({ version, cuda, path, source }) =>
  `LibTorch ${version} (${cuda ? 'CUDA' : 'CPU'}) in ${path}, from ${source}`

/** {} also for a record that was cut short: it is written again. @param {string} path */
function readRecord(path) {
  if (!existsSync(path)) return {}
  try {
    return /** @type {Record<string, any>} */ (JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

const record = join(packageRoot, 'build', 'libtorch.json')

/**
 * The LibTorch the add-on here was last built with, as long as it is still there.
 * @returns {Libtorch | undefined}
 */
export function recordedLibtorch() {
  const { path, source } = readRecord(record)
  return path && isThere(path) ? libtorchAt(path, source) : undefined
}

/** CMake's variables of that build. @returns {Record<string, string>} */
export const recordedDefines = () => readRecord(record).defines ?? {}

async function checkTools() {
  const missing = []
  for (const [tool = '', ...args] of [['cmake'], cxx()]) {
    if ((await read(tool, [...args, '--version'])).code !== 0)
      missing.push([tool, ...args].join(' '))
  }
  if (missing.length === 0) return
  throw new SetupError(
    `mcloss: building the add-on needs cmake >= 3.18 and g++ >= 11; not found: ${missing.join(', ')}. ` +
      'On Debian or Ubuntu: apt-get install cmake g++ make',
  )
}

/** @param {string} command @param {string} folder @param {Record<string, string>} options */
async function cmakeJs(command, folder, options) {
  const tool = cmakeJsProgram()
  const defines = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`)
  const args = [tool, command, '-d', packageRoot, '-O', folder, '-p', String(jobs()), ...defines]
  const nvcc = findNvcc()
  const env = { ...process.env, CXX: cxx().join(' '), ...(nvcc && { CUDACXX: nvcc }) }
  const code = await show(process.execPath, args, { cwd: packageRoot, env })
  if (code === 0) return
  throw new SetupError(
    `mcloss: the build failed: cmake-js ${command} ended with code ${code}; the first error above is ` +
      `the cause. LibTorch was ${options.LIBTORCH}. A compiler killed for lack of memory says ` +
      "'Killed'. Then: npx mcloss setup --force",
  )
}

function cmakeJsProgram() {
  try {
    return createRequire(join(packageRoot, 'package.json')).resolve('cmake-js/bin/cmake-js')
  } catch (cause) {
    const reason = reasonOf(cause).split('\n')[0]
    throw new SetupError(
      `mcloss: cmake-js, which builds the add-on, is not installed: ${reason}. Run: npm install`,
    )
  }
}

function jobs() {
  const memory = Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY)
  return Math.max(1, Math.min(availableParallelism(), Math.floor(memory / 2 ** 30 / gibPerJob)))
}

/** The LibTorch in use: named, or found. @param {string | undefined} named @returns {Promise<Libtorch>} */
export async function requireLibtorch(named) {
  if (named) return libtorchAt(named, '--libtorch')
  const { libtorch, passedOver } = await findLibtorch()
  if (libtorch) return libtorch
  throw new SetupError(
    [
      'mcloss: no LibTorch was found. Looked at LIBTORCH, the torch of python3, the cache folder.',
      ...passedOver,
      'What to do:',
      '  1. npx mcloss setup --fetch     fetches the CPU build (192 MB)',
      '  2. LIBTORCH=/path/to/libtorch   the folder that holds include/ and lib/',
      '  3. pip install torch            is found by itself; the way to a CUDA build',
    ].join('\n'),
  )
}

await runAsProgram(import.meta.url, async (args) => {
  const { values } = parseArgs({
    args,
    options: {
      libtorch: { type: 'string' },
      tests: { type: 'boolean', default: false },
      bench: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
    },
  })
  const libtorch = await requireLibtorch(values.libtorch)
  /** @type {Program[]} */
  const extra = []
  if (values.tests) extra.push('tests')
  if (values.bench) extra.push('bench')
  const built = await build(libtorch, { extra, force: values.force })
  if (!built) process.stdout.write(`mcloss: nothing to build; ${describe(libtorch)}\n`)
  return 0
})
