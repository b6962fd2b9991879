// @ts-check
// The one error of the scripts, and the one place that prints it and sets the exit code.

import { pathToFileURL } from 'node:url'

/** Its message says who, expected, received, and what to do next. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError'
  code = 'E_SETUP'
}

/** @param {unknown} error @returns {string} */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error))

/**
 * Runs `main` when its file is the program, not when a test or another script imports it.
 * @param {string} url the file's import.meta.url
 * @param {(args: string[]) => Promise<number | undefined>} main resolves to the exit code, if any
 */
export async function runAsProgram(url, main) {
  if (!process.argv[1] || url !== pathToFileURL(process.argv[1]).href) return
  try {
    const code = await main(process.argv.slice(2))
    if (code !== undefined) process.exitCode = code
  } catch (error) {
    const known = error instanceof SetupError || !(error instanceof Error)
    process.stderr.write(`${known ? reasonOf(error) : error.stack}\n`)
    process.exitCode = 1
  }
}
