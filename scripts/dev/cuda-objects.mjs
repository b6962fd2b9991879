// @ts-check
// Compiles all CUDA files as one, without a GPU and with the headers of any LibTorch: so each
// test run sees whether they still compile, and that no kernel spills registers or takes more shared
// memory than every GPU gives. For the lowest architecture: `npm run check:cuda` compiles and links for
// all.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { read } from '../setup/child.mjs'
import { findNvcc } from '../setup/compilers.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { kernelResources, resourcesLine, takesTooMuch } from './kernel-resources.mjs'

/** The lowest of CMakeLists.txt's list for a LibTorch of CUDA 13. */
const lowest = '75'

/**
 * @typedef {{name: string, ok: boolean, output: string, kernels: string[]}} Compiled `kernels`: what
 *   each takes
 * @param {import('../setup/libtorch.mjs').Libtorch} libtorch
 * @returns {Promise<{skipped: string} | Compiled>}
 */
export async function compileCudaFiles(libtorch) {
  const nvcc = findNvcc()
  if (!nvcc) return { skipped: 'no nvcc on PATH or in /usr/local/cuda/bin' }
  const folder = join(packageRoot, 'build', 'cuda-objects')
  const generated = join(folder, 'include')
  mkdirSync(folder, { recursive: true })
  if (!libtorch.cuda) writeMacrosHeader(generated)
  const all = join(folder, 'all.cu')
  writeFileSync(
    all,
    cudaFiles()
      .map((file) => `#include "${file}"\n`)
      .join(''),
  )
  const include = join(libtorch.path, 'include')
  const { code, stdout, stderr } = await read(nvcc, [
    ...['-std=c++20', '--expt-relaxed-constexpr', '-O3', '-c'],
    ...['-Xcompiler', '-fPIC', '-Werror', 'all-warnings', '-Xptxas', '-v'],
    ...['-I', join(packageRoot, 'native'), '-isystem', include],
    ...['-isystem', join(include, 'torch/csrc/api/include'), '-isystem', generated],
    ...[`-arch=sm_${lowest}`, '-o', join(folder, 'all.o'), all],
  ])
  const name = `CUDA files for sm_${lowest}`
  if (code !== 0) return { name, ok: false, output: stdout + stderr, kernels: [] }
  const kernels = kernelResources(stderr)
  const tooMuch = kernels.filter(takesTooMuch).map(resourcesLine)
  return {
    name: `${name}, ${kernels.length} kernels`,
    ok: tooMuch.length === 0,
    output: tooMuch.map((line) => `${line}\n`).join(''),
    kernels: kernels.map(resourcesLine),
  }
}

function cudaFiles() {
  const native = join(packageRoot, 'native')
  const files = readdirSync(native, { recursive: true, encoding: 'utf8' })
  return files
    .filter((name) => name.endsWith('.cu'))
    .sort()
    .map((name) => join(native, name))
}

/** A CPU wheel lacks this one generated header, which may be empty. @param {string} folder */
function writeMacrosHeader(folder) {
  const header = join(folder, 'c10/cuda/impl/cuda_cmake_macros.h')
  mkdirSync(dirname(header), { recursive: true })
  writeFileSync(header, '#pragma once\n')
}
