// @ts-check
// `npm run check:cuda`: builds and links the whole add-on with a CUDA LibTorch, without a GPU, in
// build-cuda/, and shows that it holds machine code for each GPU and needs libtorch_cuda, and what each
// kernel takes.
//
//   npm run check:cuda [-- --libtorch PATH]     else LIBTORCH, Python's torch, or pip fetches one

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build, describe } from '../setup/build.mjs'
import { read } from '../setup/child.mjs'
import { findNvcc } from '../setup/compilers.mjs'
import { fetchLibtorch } from '../setup/fetch-libtorch.mjs'
import { findLibtorch, libtorchAt } from '../setup/libtorch.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram, SetupError } from '../setup/setup-error.mjs'
import { compileCudaFiles } from './cuda-objects.mjs'
import { strict } from './ensure.mjs'

/** Enough to link; to run it needs the nvidia libraries beside it, as a Python torch has them. */
const cudaWheel = {
  version: '2.14.1',
  requirement: 'torch==2.14.1',
  wheel: 'torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl',
  size: 554_581_699,
  sha256: '305a61f61f35f128579f299c5bd33d475f6a01c6307336139632e30856c4854d',
  index: 'https://download.pytorch.org/whl/cu130',
}

await runAsProgram(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { libtorch: { type: 'string' } } })
  if (!findNvcc()) {
    throw new SetupError(
      'mcloss: check:cuda needs nvcc on PATH or in /usr/local/cuda/bin. ' +
        'Install the CUDA toolkit (the compiler and cudart are enough).',
    )
  }
  const libtorch = await cudaLibtorch(values.libtorch)
  const out = join(packageRoot, 'build-cuda')
  const built = await build(libtorch, { out, defines: strict })
  if (!built) process.stdout.write(`mcloss: nothing to build; ${describe(libtorch)}\n`)
  const compiled = await compileCudaFiles(libtorch)
  if ('skipped' in compiled) throw new SetupError(`CUDA files not compiled: ${compiled.skipped}`)
  const { name, ok, output, kernels } = compiled
  process.stdout.write(`${ok ? 'ok' : 'FAILED'} ${name}\n${output}${kernels.join('\n')}\n`)
  if (!ok) return 1
  return inspect(join(out, 'Release/mcloss.node'), chosenArchitectures(out))
})

/** @param {string | undefined} named */
async function cudaLibtorch(named) {
  const found = named ? libtorchAt(named, '--libtorch') : (await findLibtorch()).libtorch
  if (found?.cuda) return found
  if (found && ['--libtorch', 'LIBTORCH'].includes(found.source)) {
    throw new SetupError(
      `mcloss: check:cuda needs a CUDA LibTorch but ${found.source} names a CPU one: ${found.path}.`,
    )
  }
  return fetchLibtorch({ wheel: cudaWheel })
}

/** What CMakeLists.txt has chosen: all that nvcc and LibTorch share. @param {string} out */
function chosenArchitectures(out) {
  const cache = readFileSync(join(out, 'CMakeCache.txt'), 'utf8')
  return cache.match(/^CMAKE_CUDA_ARCHITECTURES:.*=(.*)$/m)?.[1]?.split(';') ?? []
}

/** @param {string} addon @param {string[]} architectures @returns {Promise<number>} */
async function inspect(addon, architectures) {
  process.stdout.write(`${addon}: ${statSync(addon).size} bytes\n`)
  const needed = (await read('readelf', ['-d', addon])).stdout
    .split('\n')
    .filter((line) => line.includes('NEEDED'))
  process.stdout.write(`${needed.join('\n')}\n`)
  const needsCuda = needed.some((line) => line.includes('libtorch_cuda.so'))
  const architectureList = await embeddedCode(addon)
  process.stdout.write(`GPU code for: ${architectureList.join(', ') || 'none'}\n`)
  const missing = architectures.filter((number) => !architectureList.includes(`sm_${number}`))
  const ok = needsCuda && architectures.length > 0 && missing.length === 0
  process.stdout.write(
    ok
      ? 'check:cuda: ok\n'
      : `check:cuda: FAILED: ${needsCuda ? '' : 'libtorch_cuda.so is not NEEDED; '}` +
          `GPU code missing for: ${missing.join(', ') || 'none'}\n`,
  )
  return ok ? 0 : 1
}

/** The sm_NN of the add-on's cubins, by cuobjdump, or by their names in the file without it. */
async function embeddedCode(/** @type {string} */ addon) {
  const { code, stdout } = await read('cuobjdump', ['--list-elf', addon])
  if (code === 0) process.stdout.write(stdout)
  const text = code === 0 ? stdout : (await read('strings', ['-a', addon])).stdout
  return [...new Set([...text.matchAll(/\bsm_\d+/g)].map(([name]) => name))].sort()
}
