// @ts-check
// The one error of the scripts, and the one place that prints it and sets the exit code.

import { realpathSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Its message says who, expected, received, and what to do next. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError'
  code = 'E_SETUP'
}

/** @param {unknown} error @returns {string} */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error))

/** @type {Record<string, string>} */
const advice = {
  EACCES: 'Give this user the right to it and to every folder above it, or name another folder',
  EPERM: 'Run it as a user who may do that, or name another folder',
  EROFS: 'The disk is read-only: name another folder',
  ENOTDIR: 'A part of this path is a file: move it away, or name another folder',
  EEXIST: 'A file is where a folder should be: move it away, or name another folder',
  ENOENT: 'Look whether the path is right and its disk is there',
  ELOOP: 'Links lead in a circle: mend them, or name another folder',
  ENAMETOOLONG: 'Name a shorter folder',
  ENOSPC: 'Free some space, or name a folder on another disk',
  EDQUOT: 'Your share of the disk is used up: free some space, or name a folder on another disk',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n)',
}

/** A system error in a sentence, and what to do. @param {Error & {code?: unknown}} error */
export function systemReason({ message, code }) {
  return `${message}. ${advice[String(code)] ?? 'Look whether the disk or the network is in order'}`
}

/** A system error in words; any other error is a mistake in here, and shows where. */
function wordsOf(/** @type {unknown} */ error) {
  if (!(error instanceof Error) || error instanceof SetupError) return reasonOf(error)
  if (!('syscall' in error && 'code' in error)) return error.stack
  return `mcloss: ${systemReason(error)}; the cache lies where XDG_CACHE_HOME says.`
}

const isBadUsage = (/** @type {unknown} */ error) =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')

/**
 * Runs `main` when its file is the program, not when a test or another script imports it.
 * @param {string} url the file's import.meta.url
 * @param {(args: string[]) => Promise<number | undefined>} main resolves to the exit code, if any
 */
export async function runAsProgram(url, main) {
  const program = process.argv[1]
  if (!program || url !== pathToFileURL(realpathSync(program)).href) return
  try {
    const code = await main(process.argv.slice(2))
    if (code !== undefined) process.exitCode = code
  } catch (error) {
    process.stderr.write(`${isBadUsage(error) ? reasonOf(error) : wordsOf(error)}\n`)
    process.exitCode = isBadUsage(error) ? 2 : 1
  }
}
