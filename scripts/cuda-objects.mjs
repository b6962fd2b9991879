// @ts-check
// Compiles every CUDA file to objects, without a GPU and with the headers of any LibTorch: so each
// test run sees whether they still compile.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { read } from './child.mjs'
import { findNvcc, packageRoot } from './paths.mjs'

export const architectures = ['80', '90']

/**
 * @param {import('./libtorch.mjs').Libtorch} libtorch
 * @returns {Promise<{skipped: string} | {results: {name: string, ok: boolean, output: string}[]}>}
 */
export async function compileCudaFiles(libtorch) {
  const nvcc = findNvcc()
  if (!nvcc) return { skipped: 'no nvcc on PATH or in /usr/local/cuda/bin' }
  const folder = join(packageRoot, 'build', 'cuda-objects')
  const generated = join(folder, 'include')
  mkdirSync(folder, { recursive: true })
  if (!libtorch.cuda) writeMacrosHeader(generated)
  const include = join(libtorch.path, 'include')
  const flags = [
    ...['-std=c++20', '--expt-relaxed-constexpr', '-O3', '-c', '-Xcompiler', '-fPIC'],
    ...['-I', join(packageRoot, 'native'), '-isystem', include],
    ...['-isystem', join(include, 'torch/csrc/api/include'), '-isystem', generated],
  ]
  const results = []
  for (const file of cudaFiles()) {
    for (const architecture of architectures) {
      const name = `${file} sm_${architecture}`
      const object = join(folder, `${basename(file, '.cu')}.sm_${architecture}.o`)
      const code = `arch=compute_${architecture},code=sm_${architecture}`
      const args = [...flags, '-gencode', code, '-o', object, join(packageRoot, file)]
      const { code: exit, stdout, stderr } = await read(nvcc, args)
      results.push({ name, ok: exit === 0, output: stdout + stderr })
    }
  }
  return { results }
}

function cudaFiles() {
  const files = readdirSync(join(packageRoot, 'native'), { recursive: true, encoding: 'utf8' })
  return files
    .filter((name) => name.endsWith('.cu'))
    .sort()
    .map((name) => join('native', name))
}

/** A CPU wheel lacks this one generated header, which may be empty. @param {string} folder */
function writeMacrosHeader(folder) {
  const header = join(folder, 'c10/cuda/impl/cuda_cmake_macros.h')
  mkdirSync(dirname(header), { recursive: true })
  writeFileSync(header, '#pragma once\n')
}
