// @ts-check
// Turns CUDA files into C++ that runs on test/native/emulation: launches, shared memory, CUDA's headers,
// and the registration of the operators. Lines keep their numbers. CMake calls it for the C++ tests.
//
//   node scripts/dev/cuda-to-cpp.mjs OUT ROOT FILE...    ROOT/FILE -> OUT/FILE, a .cu as .cu.cpp

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const cudaHeaders = /^#include <(c10\/cuda\/\w+\.h|cuda_\w+\.h)>$/gm
const dynamicShared = /\bextern __shared__ (?:__align__\(\d+\) )?unsigned char (\w+)\[\];/g
const staticShared = /(?<!extern )\b__shared__ ([\w:<>, ]+?) (\w+)((?:\[[^\]]*\])*);/g
const registration = /\bTORCH_LIBRARY_IMPL\((\w+), CUDA, /g

/**
 * @param {string} source of a .cu or .cuh file
 * @param {string} name for messages
 */
export function translate(source, name) {
  const text = withLaunches(source, name)
    .replace(cudaHeaders, '')
    .replace(dynamicShared, 'unsigned char* const $1 = emulation::dynamic_shared();')
    .replace(
      staticShared,
      'static char $2_declared; auto& $2 = emulation::shared_variable<$1$3>(&$2_declared);',
    )
    .replace(registration, 'TORCH_LIBRARY_IMPL($1_emulated, CPU, ')
  const left = /__shared__|<<<|\bCUDA, m\)/.exec(text)?.[0]
  if (left) throw new Error(`${name}: '${left}' is in a form that this script does not know`)
  return `#include "emulation/cuda.h"\n#line 1 "${name}"\n${text}`
}

/**
 * kernel<<<config>>>(arguments) as a call of emulation::launch.
 * @param {string} source @param {string} name
 */
function withLaunches(source, name) {
  let done = ''
  let rest = source
  for (let at = rest.indexOf('<<<'); at >= 0; at = rest.indexOf('<<<')) {
    const begin = Math.max(...[';', '{', '}'].map((mark) => rest.lastIndexOf(mark, at))) + 1
    const kernel = rest.slice(begin, at).trim()
    const end = rest.indexOf('>>>', at)
    const config = rest.slice(at + 3, end)
    const close = closing(rest, end + 3, name)
    const call = `[&](const auto&... given) { ${kernel}(given...); }`
    const lead = /^\s*/.exec(rest.slice(begin))?.[0] ?? ''
    done += rest.slice(0, begin) + lead
    const words = kernel.replace(/\s+/g, ' ')
    done += `emulation::launch("${words}", {${config}}, ${call}, ${rest.slice(end + 4, close)})`
    rest = rest.slice(close + 1)
  }
  return done + rest
}

/**
 * Where the bracket closes that opens at `open`.
 * @param {string} text @param {number} open @param {string} name
 */
function closing(text, open, name) {
  let depth = 0
  for (let i = open; i < text.length; i++) {
    if ('([{'.includes(text[i] ?? '')) depth++
    if (')]}'.includes(text[i] ?? '')) depth--
    if (depth === 0) return i
  }
  throw new Error(`${name}: a launch without its end`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [out = '', root = '', ...files] = process.argv.slice(2)
  for (const file of files) {
    const path = join(out, file.replace(/\.cu$/, '.cu.cpp'))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, translate(readFileSync(join(root, file), 'utf8'), file))
  }
}
