// @ts-check
// Where things are, and the hashes that say whether they changed.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const packageRoot = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '../..'))

/** @type {{version: string}} */
export const packageJson = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))

/** Fetched LibTorch builds lie here, side by side. @param {NodeJS.ProcessEnv} env */
export function cacheFolder(env = process.env) {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'mcloss')
}

/** SHA-256 of names and contents of files and folders (recursive), given from packageRoot. */
export function hashOf(/** @type {string[]} */ paths) {
  const hash = createHash('sha256')
  for (const file of paths.flatMap(filesUnder).sort()) {
    const content = readFileSync(file)
    hash.update(`${relative(packageRoot, file)}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

/** @param {string} path @returns {string[]} */
function filesUnder(path) {
  const full = join(packageRoot, path)
  if (!existsSync(full)) return []
  if (statSync(full).isFile()) return [full]
  return readdirSync(full).flatMap((name) => filesUnder(join(path, name)))
}

/** nvcc on PATH or where its installer puts it. @param {NodeJS.ProcessEnv} env */
export function findNvcc(env = process.env) {
  const folders = [...(env.PATH ?? '').split(delimiter).filter(Boolean), '/usr/local/cuda/bin']
  return folders.map((folder) => join(folder, 'nvcc')).find((path) => existsSync(path))
}
