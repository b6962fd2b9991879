// @ts-check
// Which compilers build the add-on; lib/doctor.ts shows the same ones.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathVariable, variable } from './environment.mjs'

/** CXX as CMake reads it: a program, or one with its first arguments. @param {NodeJS.ProcessEnv} env */
export function cxx(env = process.env) {
  const named = variable('CXX', env) || 'c++'
  return existsSync(named) ? [named] : named.split(/\s+/)
}

/** nvcc: the one named, on PATH, or where its installer puts it. @param {NodeJS.ProcessEnv} env */
export function findNvcc(env = process.env) {
  const named = pathVariable('CUDACXX', env)
  if (named) return named
  const folders = [...(env.PATH ?? '').split(delimiter).filter(Boolean), '/usr/local/cuda/bin']
  return folders.map((folder) => join(folder, 'nvcc')).find((path) => existsSync(path))
}
