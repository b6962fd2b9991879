// Command-line options of a benchmark: --name value, --flag. The defaults name the options and give
// their types; an unknown option or a value of the wrong type ends the program with exit code 2.

import { parseArgs } from 'node:util'

/**
 * @template {Record<string, string | number | boolean>} T
 * @param {T} defaults
 * @returns {T}
 */
export function readOptions(defaults) {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      { type: typeof value === 'boolean' ? 'boolean' : 'string' },
    ]),
  )
  try {
    const { values } = parseArgs({ options })
    return Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, read(name, values[name], value)]),
    )
  } catch (error) {
    console.error(`${error.message}\nOptions and defaults: ${JSON.stringify(defaults)}`)
    process.exit(2)
  }
}

function read(name, given, fallback) {
  if (given === undefined) return fallback
  if (typeof fallback !== 'number') return given
  const value = Number(given)
  if (given === '' || !Number.isFinite(value)) {
    throw new Error(`--${name}: expected a number, received ${JSON.stringify(given)}.`)
  }
  return value
}
