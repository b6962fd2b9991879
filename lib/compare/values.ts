// Values of configuration keys by their dotted names, as an axis or an entry of a study gives them. A
// whole object (loss, model) can be given too: losses differ in their keys.

import { configKeys, setConfigValue } from '../config/file.js'
import type { ConfigInput } from '../config/index.js'
import { McLossError } from '../errors.js'
import { canonical, notInRecipes } from './recipe.js'

export type Values = Readonly<Record<string, unknown>>

/** Every key, and every object that holds keys. */
const known = new Set(
  configKeys().flatMap(({ path }) => {
    const parts = path.split('.')
    return parts.map((_, at) => parts.slice(0, at + 1).join('.'))
  }),
)

/** @throws McLossError E_CONFIG for a key that is none, or that tells no recipes apart. */
export function requireKeys(keys: readonly string[]): void {
  for (const key of keys) {
    if (!known.has(key)) {
      throw new McLossError(
        'E_CONFIG',
        `compare: expected a key of the configuration, such as optim.lr or loss, but received ` +
          `'${key}'. docs/config.schema.json describes every key.`,
      )
    }
    if (notInRecipes.includes(key)) {
      throw new McLossError(
        'E_CONFIG',
        `compare: ${key} cannot differ between entries: it is no part of a recipe, because no figure ` +
          `may depend on it.${key === 'seed' ? ' Give the seeds as seeds.' : ''}`,
      )
    }
  }
}

/** A copy of the configuration with these values; of a whole object and a key in it, the key counts. */
export function withValues(base: ConfigInput, values: Values): ConfigInput {
  const input = structuredClone(base) as Record<string, unknown>
  const paths = Object.keys(values).sort((a, b) => a.split('.').length - b.split('.').length)
  for (const path of paths) setAt(input, path.split('.'), structuredClone(values[path]))
  return input as ConfigInput
}

function setAt(object: Record<string, unknown>, path: string[], value: unknown): void {
  const [key = '', ...rest] = path
  if (rest.length === 0) {
    object[key] = value
    return
  }
  object[key] ??= {}
  const inner = object[key]
  if (!(inner instanceof Object)) {
    throw new McLossError(
      'E_CONFIG',
      `compare: ${path.join('.')} cannot be set: expected ${key} to be an object but received ` +
        `${JSON.stringify(inner)}.`,
    )
  }
  setAt(inner as Record<string, unknown>, rest, value)
}

export function valueAt(object: unknown, path: string): unknown {
  return path.split('.').reduce((at, key) => Object(at)[key], object)
}

/** Whether the values say what `key` is: by itself, or in an object. */
export function isStated(values: Values, key: string): boolean {
  return Object.entries(values).some(
    ([path, value]) =>
      path === key ||
      (key.startsWith(`${path}.`) && valueAt(value, key.slice(path.length + 1)) !== undefined),
  )
}

export const isSame = (one: unknown, other: unknown) => canonical(one) === canonical(other)

/** In words, for a table: 'optim.lr 0.1', 'mc alpha 1.5 beta 2'. */
export function valuesText(values: Values): string {
  return Object.entries(values)
    .map(([key, value]) => {
      const { name, ...options } = Object(value) as Record<string, unknown>
      if (typeof name !== 'string') return `${key} ${plain(value)}`
      return [name, ...Object.entries(options).map(([own, of]) => `${own} ${plain(of)}`)].join(' ')
    })
    .join(', ')
}

const plain = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

/** A value from a command line: as the flag of the key takes it, or JSON for a whole object. */
export function parsedValue(key: string, text: string): unknown {
  if (configKeys().some(({ path }) => path === key)) {
    const input = {} as ConfigInput
    setConfigValue(input, key, text)
    return valueAt(input, key)
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new McLossError(
      'E_USAGE',
      `mcloss: expected ${key} to be a key of the configuration with its value, or an object as JSON ` +
        `such as {"name": "cross-entropy"}, but received '${text}'.`,
    )
  }
}

/** The values of a comma list; a comma in a JSON object, list or text separates nothing. */
export function splitValues(text: string): string[] {
  const found = ['']
  let depth = 0
  let isQuoted = false
  for (const [at, letter] of [...text].entries()) {
    if (letter === '"' && text[at - 1] !== '\\') isQuoted = !isQuoted
    if (!isQuoted && '{['.includes(letter)) depth++
    if (!isQuoted && '}]'.includes(letter)) depth--
    if (letter === ',' && depth === 0 && !isQuoted) found.push('')
    else found[found.length - 1] += letter
  }
  return found
}
