// @ts-check
// Where things are, and the hashes that say whether they changed.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { userCache } from './environment.mjs'
import { SetupError, systemReason } from './setup-error.mjs'

export const packageRoot = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '../..'))

/** @type {{version: string}} */
export const packageJson = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))

/** Fetched LibTorch builds lie here, side by side. @param {NodeJS.ProcessEnv} env */
export const cacheFolder = (env = process.env) => join(userCache(env), 'mcloss')

/**
 * Whether something is at a path.
 * @param {string} path
 * @throws {SetupError} where that cannot be told: a folder above that this user may not enter
 */
export function isThere(path) {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw new SetupError(`mcloss: ${systemReason(/** @type {Error} */ (error))}.`)
  }
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
