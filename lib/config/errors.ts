// What does not fit a schema, as one E_CONFIG: a line a problem, with the path, what was expected
// and received, and for an unknown key the one that may have been meant.

import { z } from 'zod'
import { oddLetters } from '../difference.js'
import { McLossError } from '../errors.js'

/** A problem of one value; zod's issues are problems too. */
export interface Problem {
  path: PropertyKey[]
  message: string
  /** Of zod's unrecognized_keys. */
  keys?: string[]
  code?: string
}

/** Of a configuration, or of another file whose keys `page` describes. */
export function configError(
  schema: z.ZodType,
  input: unknown,
  problems: Problem[],
  { who, page } = { who: 'config', page: 'docs/config.schema.json' },
): McLossError {
  const lines = problems.flatMap((problem) =>
    problem.code === 'unrecognized_keys'
      ? (problem.keys ?? []).map((key) => unknownKey(schema, input, problem.path, key))
      : [`  ${pathText(problem.path)}: ${words(problem, input)}`],
  )
  return new McLossError(
    'E_CONFIG',
    `${who}: ${lines.length} problem${lines.length === 1 ? '' : 's'}.\n${lines.join('\n')}\n` +
      `Every key is described in ${page}.`,
  )
}

/** A schema without its default and optional wrappers. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  const inner = (schema.def as { innerType?: z.ZodType }).innerType
  return inner ? unwrapped(inner) : schema
}

function unknownKey(schema: z.ZodType, input: unknown, path: PropertyKey[], key: string): string {
  const objects = objectsAt(schema, path)
  const name = Object(valueAt(input, path)).name
  const chosen = objects.find((one) => nameOf(one) === name) ?? objects[0]
  const known = Object.keys(chosen?.shape ?? {})
  const owners = objects.filter((one) => Object.hasOwn(one.shape, key)).map(nameOf)
  const where = `  ${pathText([...path, key])}: `
  if (owners.length > 0) {
    const part = String(path.at(-1))
    const own = known.filter((one) => one !== 'name').join(', ')
    return `${where}belongs to ${part} ${owners.join(', ')}; ${part} ${name} takes ${own}`
  }
  const meant = nearest(key, known)
  const hint = meant ? ` Did you mean '${meant}'?` : ` Known keys: ${known.join(', ')}.`
  return `${where}unknown key${oddLetters(key)}.${hint}`
}

/** The object at a path; several, told apart by their names, for a union. */
function objectsAt(schema: z.ZodType, path: PropertyKey[]): z.ZodObject[] {
  return path.reduce(
    ([at], key) => objectsIn(at?.shape[key as string] as z.ZodType),
    objectsIn(schema),
  )
}

function objectsIn(schema: z.ZodType): z.ZodObject[] {
  const at = unwrapped(schema)
  if (at instanceof z.ZodObject) return [at]
  return at instanceof z.ZodDiscriminatedUnion ? (at.options as z.ZodObject[]) : []
}

/** Of an object of a union: its literal `name`. */
export function nameOf({ shape }: z.ZodObject): unknown {
  return shape.name instanceof z.ZodLiteral ? shape.name.value : undefined
}

function nearest(key: string, known: string[]): string | undefined {
  const scored = known.map((name) => ({ name, distance: editDistance(key, name) }))
  const [first] = scored.sort((a, b) => a.distance - b.distance)
  return first && first.distance <= Math.max(2, key.length / 3) ? first.name : undefined
}

/** Levenshtein distance, letters compared without case. */
function editDistance(a: string, b: string): number {
  const [from, to] = [a.toLowerCase(), b.toLowerCase()]
  let row = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

/** What was expected, and the value that was received in place of zod's name of its type. */
function words({ message, path }: Problem, input: unknown): string {
  const value = valueAt(input, path)
  if (value === undefined) return message
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value)
  const received = text.length > 60 ? `${text.slice(0, 60)}...` : text
  const letters = typeof value === 'string' ? oddLetters(value) : ''
  return `${message.replace(/, received \w+$/, '')} (received ${received}${letters})`
}

function valueAt(input: unknown, path: PropertyKey[]): unknown {
  return path.reduce((at, key) => Object(at)[key], input)
}

function pathText(path: PropertyKey[]): string {
  return path.map(String).join('.') || 'config'
}
