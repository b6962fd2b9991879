// Options of commands: the configuration's own paths as flags, and numbers.

import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { configKeys, setConfigValue } from '../config/file.js'
import type { ConfigInput } from '../config/index.js'
import { McLossError } from '../errors.js'

/** Every key of the configuration as a flag, or those that `has` takes. */
export function addConfigFlags(command: Command, has: (path: string) => boolean = () => true) {
  for (const { path, description } of configKeys()) {
    if (has(path)) command.addOption(new Option(`--${path} <value>`, description))
  }
}

/** Sets the keys that flags name; returns the configuration. */
export function setFlags(input: ConfigInput, flags: Record<string, string>): ConfigInput {
  for (const [path, value] of Object.entries(flags)) setConfigValue(input, path, value)
  return input
}

export function wholeNumber(text: string): number {
  return text === '0' ? 0 : positiveInteger(text)
}

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new McLossError('E_USAGE', `mcloss: expected a positive integer but received '${text}'.`)
}

/** A shell leaves ~ in --out=~/runs as it is, and a folder of that name is not what was meant. */
export function refuseHomeSign(values: readonly unknown[]): void {
  const given = values.find((value) => typeof value === 'string' && /^~(\/|$)/.test(value))
  if (typeof given !== 'string') return
  const meant = join(homedir(), given.slice(1))
  throw new McLossError(
    'E_USAGE',
    `mcloss: the shell left '${given}' as it is: write ${meant}, or ./${given} for a folder named ~.`,
  )
}
