// What options of several commands have in common: numbers, devices, paths.

import { homedir } from 'node:os'
import { join } from 'node:path'
import { Option } from 'commander'
import { McLossError } from '../errors.js'

export function deviceOption(): Option {
  return new Option('--device <device>').choices(['cpu', 'cuda'])
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
