// @ts-check
// Environment variables as users write them. lib/binding.ts takes its path from here too.

import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { SetupError } from './setup-error.mjs'

/**
 * Its value, '' for none, without the quotes and line ends that env files leave on it.
 * @param {string} name @param {NodeJS.ProcessEnv} [env]
 */
export function variable(name, env = process.env) {
  const value = (env[name] ?? '').trim()
  return /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value
}

/**
 * A path, from the working folder if it is relative.
 * @param {string} name @param {NodeJS.ProcessEnv} [env]
 */
export function pathVariable(name, env = process.env) {
  const value = variable(name, env)
  return value === '' ? undefined : resolve(value)
}

/** Where this user's caches lie. XDG's rule: a relative path counts as none. @param {NodeJS.ProcessEnv} [env] */
export function userCache(env = process.env) {
  const named = variable('XDG_CACHE_HOME', env)
  return isAbsolute(named) ? named : join(env.HOME || homedir(), '.cache')
}

/**
 * @param {string} name @param {NodeJS.ProcessEnv} [env]
 * @throws {SetupError} for a value that is neither yes nor no
 */
export function isOn(name, env = process.env) {
  const value = variable(name, env).toLowerCase()
  if (['1', 'true', 'yes', 'on'].includes(value)) return true
  if (['', '0', 'false', 'no', 'off'].includes(value)) return false
  throw new SetupError(
    `mcloss: the variable ${name}: expected 1, true, yes or on, or 0, false, no or off, but ` +
      `received '${env[name]}'. Set it to one of these, or unset it.`,
  )
}
