// What does not fit a schema, as one E_CONFIG: a line a problem, with the path, what was expected
// and received, and for an unknown key the one that may have been meant.

import { z } from 'zod'
import { McLossError } from '../errors.js'

/** A problem of one value; zod's issues are problems too. */
export interface Problem {
  path: PropertyKey[]
  message: string
  /** Of zod's unrecognized_keys. */
  keys?: string[]
  code?: string
}

export function configError(schema: z.ZodType, input: unknown, problems: Problem[]): McLossError {
  const lines = problems.flatMap((problem) =>
    problem.code === 'unrecognized_keys'
      ? (problem.keys ?? []).map((key) => unknownKey(schema, problem.path, key))
      : [`  ${pathText(problem.path)}: ${words(problem, input)}`],
  )
  return new McLossError(
    'E_CONFIG',
    `config: ${lines.length} problem${lines.length === 1 ? '' : 's'}.\n${lines.join('\n')}\n` +
      'Every key is described in docs/config.schema.json.',
  )
}

/** A schema without its default and optional wrappers. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  const inner = (schema.def as { innerType?: z.ZodType }).innerType
  return inner ? unwrapped(inner) : schema
}

function unknownKey(schema: z.ZodType, path: PropertyKey[], key: string): string {
  const known = keysAt(schema, path)
  const meant = nearest(key, known)
  const hint = meant ? ` Did you mean '${meant}'?` : ` Known keys: ${known.join(', ')}.`
  return `  ${pathText([...path, key])}: unknown key.${hint}`
}

function keysAt(schema: z.ZodType, path: PropertyKey[]): string[] {
  let at = unwrapped(schema)
  for (const key of path) {
    if (at instanceof z.ZodObject) at = unwrapped(at.shape[key as string] as z.ZodType)
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : []
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
  let value: unknown = input
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  if (value === undefined) return message
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value)
  const received = text.length > 60 ? `${text.slice(0, 60)}...` : text
  return `${message.replace(/, received \w+$/, '')} (received ${received})`
}

function pathText(path: PropertyKey[]): string {
  return path.map(String).join('.') || 'config'
}
