// The shared libraries in this process, whichever thread or variable brought them.

import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

const replacedMark = ' (deleted)'

/** The mapped files, as the kernel names them; `gone` if the path has another file or none by now. */
export function loadedLibraries(): { path: string; gone: boolean }[] {
  let maps: string
  try {
    maps = readFileSync('/proc/self/maps', 'utf8')
  } catch {
    return [] // a system that does not say
  }
  const names = maps.split('\n').map((line) => /^(?:\S+ +){5}(\/.*)$/.exec(line)?.[1])
  return [...new Set(names)].flatMap((name) => {
    const gone = name?.endsWith(replacedMark) ?? false
    const path = gone ? name?.slice(0, -replacedMark.length) : name
    return path && /\.(node|so[.\d]*)$/.test(path) ? { path, gone } : []
  })
}

/** The variables by which a user decides which libraries are loaded. */
export type LoaderVariable = 'LD_PRELOAD' | 'LD_LIBRARY_PATH'

/** Which variable names this library or its folder. */
function variableNaming(library: string): LoaderVariable | null {
  const { LD_PRELOAD: preload = '', LD_LIBRARY_PATH: folders } = process.env
  const isPreloaded = (entry: string) =>
    entry.includes('/') ? real(entry) === library : entry === basename(library)
  if (preload.split(/[\s:]+/).some((entry) => entry && isPreloaded(entry))) return 'LD_PRELOAD'
  // The loader, too, takes an empty entry for the working folder.
  const isAbove = (folder: string) => library.startsWith(join(real(folder), '/'))
  return folders?.split(/[:;]/).some(isAbove) ? 'LD_LIBRARY_PATH' : null
}

/** The variables that bring other libraries than those the add-on would take by itself. */
export function variablesInForce(): LoaderVariable[] {
  const { LD_PRELOAD: preload, LD_LIBRARY_PATH: folders } = process.env
  const isTaken = (name: string) => /^lib(torch|c10|gomp|stdc\+\+|gcc_s)\b.*\.so/.test(name)
  const brings = folders?.split(/[:;]/).some((folder) => namesIn(folder || '.').some(isTaken))
  return [
    ...(preload?.trim() ? ['LD_PRELOAD' as const] : []),
    ...(brings ? ['LD_LIBRARY_PATH' as const] : []),
  ]
}

/** A library that is loaded in place of the one that LibTorch brings. */
export interface ReplacedLibrary {
  path: string
  expected: string
  /** What decided it; null: something else in this process loaded it first. */
  by: LoaderVariable | null
}

/** Of the LibTorch in a folder: its own libraries, and those of NVIDIA that a wheel has beside it. */
export function replacedLibraries(libtorch: string): ReplacedLibrary[] {
  const nvidia = join(libtorch, '..', 'nvidia')
  const folders = [
    join(libtorch, 'lib'),
    ...namesIn(nvidia).map((name) => join(nvidia, name, 'lib')),
  ]
  const own = folders.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)))
  return loadedLibraries().flatMap(({ path }) => {
    const same = own.filter((file) => soname(file) === soname(path))
    const [expected] = same
    if (expected === undefined || same.some((file) => real(file) === path)) return []
    return { path, expected, by: variableNaming(path) }
  })
}

/** What the loader knows a library by: libgomp.so.1 of libgomp.so.1.0.0. */
function soname(path: string): string {
  const name = basename(path)
  return /^.+?\.so(\.\d+)?/.exec(name)?.[0] ?? name
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function real(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}
