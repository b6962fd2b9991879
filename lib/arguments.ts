// What an exported function may be given. Types are not there for a caller from JavaScript, so that every
// entry checks its arguments before anything else does; each error names the function and the field.

import { z } from 'zod'
import { McLossError } from './errors.js'

export const count = z.int().min(1)
export const text = z.string().min(1)
export const callback = z.custom<() => void>((value) => typeof value === 'function', {
  error: 'expected a function',
})
export const signal = z.custom<AbortSignal>((value) => value instanceof AbortSignal, {
  error: 'expected an AbortSignal',
})

/** An object of which these keys are checked; it may have others. */
export const record = z.looseObject

/** @throws McLossError E_ARGUMENT with a line for every field that is wrong. */
export function checkArgument(who: string, name: string, schema: z.ZodType, value: unknown): void {
  const problems = schema.safeParse(value).error?.issues ?? []
  if (problems.length === 0) return
  const lines = problems.map(({ path, message }) => {
    const expected = message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '')
    const at = path.reduce((object: unknown, key) => Object(object)[key], value)
    return `${[name, ...path].map(String).join('.')}: ${expected} but received ${received(at)}`
  })
  const types = 'The types of the package and docs/api.md say what it takes.'
  throw new McLossError('E_ARGUMENT', `${who}: ${lines.join('; ')}. ${types}`)
}

function received(value: unknown): string {
  if (typeof value === 'string' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return 'an array'
  const isSimple = !['object', 'function'].includes(typeof value)
  return isSimple ? String(value) : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}
