// Configurations from outside a script: JSON files and command-line flags.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { McLossError, reasonOf } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { textOf } from '../files/text.js'
import { nameOf, unwrapped } from './errors.js'
import { parsedJson } from './json.js'
import { type ConfigInput, schema } from './schema.js'

/**
 * Reads a JSON file; defineConfig checks what it holds. Paths in it are relative to the folder that
 * the process runs in, as those of flags are.
 *
 * @throws McLossError E_CONFIG when it cannot be read or is not a JSON object.
 */
export async function loadConfigFile(path: string): Promise<ConfigInput> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new McLossError(
      'E_CONFIG',
      `config: expected ${resolve(path)} to be a JSON file with a configuration: ${reason} ` +
        'examples/recipes holds complete ones.',
      { cause },
    )
  }
  const bytes = await readFile(path).catch((cause) => refuse(systemReason(cause), cause))
  const text = textOf(bytes, { file: path, reader: 'config', code: 'E_CONFIG' })
  const value = parsed(text, (cause) => refuse(`${reasonOf(cause)}.`, cause))
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as ConfigInput) : refuse('it does not hold a JSON object.')
}

function parsed(text: string, refuse: (cause: unknown) => never): unknown {
  try {
    return parsedJson(text)
  } catch (cause) {
    return refuse(cause)
  }
}

export interface ConfigKey {
  /** Dotted, e.g. optim.lr. */
  path: string
  description: string
}

/** Every key that a file or a flag can set. */
export function configKeys(): ConfigKey[] {
  return leaves(schema, []).map(({ path, leaf }) => ({
    path: path.join('.'),
    description: leaf.description ?? '',
  }))
}

/**
 * Sets one key from a flag's text: a number, true or false, JSON, or a comma list where the key
 * takes those; else the text itself.
 *
 * @throws McLossError E_USAGE for a key that does not exist, or lies in what is no object.
 */
export function setConfigValue(input: ConfigInput, path: string, text: string): void {
  const found = leaves(schema, []).find((key) => key.path.join('.') === path)
  if (!found) throw new McLossError('E_USAGE', `mcloss: there is no option --${path}.`)
  let at = input as Record<string, unknown>
  for (const key of found.path.slice(0, -1)) {
    at[key] ??= {}
    if (!(at[key] instanceof Object)) {
      throw new McLossError(
        'E_USAGE',
        `mcloss: --${path} cannot be set: expected ${key} to be an object but received ${at[key]}.`,
      )
    }
    at = at[key] as Record<string, unknown>
  }
  at[found.path.at(-1) as string] = parseValue(found.leaf, text)
}

/** The first reading that the key takes; else the number or word as it is, for a plain error. */
function parseValue(leaf: z.ZodType, text: string): unknown {
  const [asJson, asList] = [jsonOf(text), jsonOf(`[${text}]`)]
  const fitting = [text, asJson, asList].find(
    (value) => value !== undefined && leaf.safeParse(value).success,
  )
  return fitting ?? asJson ?? text
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const scriptsOnly = ['$schema', 'data.dataset']

interface Leaf {
  path: string[]
  leaf: z.ZodType
}

function leaves(at: z.ZodType, path: string[]): Leaf[] {
  const inner = unwrapped(at)
  if (inner instanceof z.ZodDiscriminatedUnion) {
    return leavesOfUnion(inner.options as z.ZodObject[], path)
  }
  if (!(inner instanceof z.ZodObject)) {
    return scriptsOnly.includes(path.join('.')) ? [] : [{ path, leaf: at }]
  }
  return Object.entries(inner.shape).flatMap(([key, value]) =>
    leaves(value as z.ZodType, [...path, key]),
  )
}

/** Every key once, with what it means to each object that has it. */
function leavesOfUnion(objects: z.ZodObject[], path: string[]): Leaf[] {
  const keys = new Set(objects.flatMap(({ shape }) => Object.keys(shape)))
  return [...keys].map((key) => {
    const owners = objects.filter(({ shape }) => key in shape)
    const types = owners.map(({ shape }) => shape[key] as z.ZodType)
    const meanings = [...new Set(types.map(({ description }) => description))].map((meaning) => {
      const those = owners.filter((_, i) => types[i]?.description === meaning)
      return `${those.map(nameOf).join(', ')}: ${meaning}`
    })
    return { path: [...path, key], leaf: z.union(types).describe(meanings.join('; ')) }
  })
}
