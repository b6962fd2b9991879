// A study: which configurations are compared over which seeds. From a JSON file, or from a configuration
// and the axes of a command line. docs/compare.md describes the keys.

import { basename } from 'node:path'
import { z } from 'zod'
import { configError } from '../config/errors.js'
import { loadConfigFile } from '../config/file.js'
import type { ConfigInput } from '../config/index.js'
import { McLossError } from '../errors.js'
import { requireKeys } from './values.js'

const seed = z.int().min(0)
const seeds = z
  .union([z.array(seed).min(1), z.string()], 'expected a list of seeds, or first..last')
  .transform((given, context) => {
    const found = typeof given === 'string' ? seedsIn(given) : given
    const isRight = found.length > 0 && new Set(found).size === found.length
    if (!isRight)
      context.addIssue({ code: 'custom', message: 'expected different seeds, e.g. 0..4' })
    return found
  })
const values = z.record(z.string(), z.json())
const lists = z.record(z.string(), z.array(z.json()).min(1))

const entry = z.strictObject({
  label: z.string().min(1).optional(),
  values: values.default({}),
  seeds: seeds.optional(),
  orientation: z.boolean().default(false),
  published: z
    .strictObject({ top1: z.number().min(0).max(1), source: z.string().min(1) })
    .optional(),
  grid: lists.optional(),
})

const schema = z.strictObject({
  about: z.string().optional(),
  name: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes and underscores'),
  base: z.union(
    [z.string().min(1), z.record(z.string(), z.json())],
    'expected a configuration, or the path of its file',
  ),
  axes: lists.default({}),
  entries: z.array(entry).min(1).prefault([{}]),
  seeds: seeds.prefault('0..4'),
  baseline: values.optional(),
  tune: z.int().min(2).optional(),
  validation: z.number().gt(0).lt(1).default(0.2),
})

/** What a study file holds. */
export type StudyInput = z.input<typeof schema>
export type StudyEntry = z.output<typeof entry>

export interface Study extends Omit<z.output<typeof schema>, 'base'> {
  base: ConfigInput
}

/** The seeds of the tuning's runs: others than those of the figures, so that no luck is chosen twice. */
export const tuningSeeds = [1000, 1001] as const

/**
 * Reads a study file, or makes a study of a configuration's file. `more` are the keys of a command
 * line; they come before those of the file, and its axes are added.
 *
 * @throws McLossError E_CONFIG with a line for each problem.
 */
export async function readStudy(path: string, more: Partial<StudyInput> = {}): Promise<Study> {
  const found = await loadConfigFile(path)
  const own = ('base' in found ? found : { name: nameOf(path), base: found }) as Partial<StudyInput>
  const { axes, ...others } = more
  return defineStudy({ ...own, ...others, axes: { ...own.axes, ...axes } } as StudyInput)
}

const nameOf = (path: string) => basename(path, '.json').replace(/[^\w.-]/g, '-')

/** @throws McLossError E_CONFIG with a line for each problem. */
export async function defineStudy(input: StudyInput): Promise<Study> {
  const parsed = schema.safeParse(input)
  if (!parsed.success) {
    throw configError(schema, input, parsed.error.issues, {
      who: 'study',
      page: 'docs/compare.md',
    })
  }
  const { base, ...study } = parsed.data
  requireKeys([
    ...Object.keys(study.axes),
    ...study.entries.flatMap(({ values, grid }) => Object.keys({ ...values, ...grid })),
  ])
  const all = [study.seeds, ...study.entries.map((one) => one.seeds ?? [])].flat()
  const taken = tuningSeeds.filter((one) => all.includes(one))
  if (study.tune !== undefined && taken.length > 0) {
    throw new McLossError(
      'E_CONFIG',
      `study: the seeds ${tuningSeeds.join(' and ')} are those of the tuning, but received seed ` +
        `${taken[0]} for the figures. Give other seeds.`,
    )
  }
  return {
    ...study,
    base: typeof base === 'string' ? await loadConfigFile(base) : (base as unknown as ConfigInput),
  }
}

/** '0..4' or '0,1,5'; none for anything else. */
export function seedsIn(text: string): number[] {
  const [, first = Number.NaN, last = Number.NaN] = /^(\d+)\.\.(\d+)$/.exec(text)?.map(Number) ?? []
  if (first <= last && last - first < 1000) {
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  }
  return /^\d+(,\d+)*$/.test(text) ? text.split(',').map(Number) : []
}
