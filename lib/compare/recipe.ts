// A recipe: what decides the figures of a run beside its seed. It is the resolved configuration without
// paths, names and what only the machine or the display is asked for, and without what is as the schema
// has it by default, so that an option that is new in the schema changes no recipe.

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { z } from 'zod'
import { unwrapped } from '../config/errors.js'
import { type Config, configToJson } from '../config/index.js'
import { schema } from '../config/schema.js'
import { weightRecord } from '../weights/records.js'

/** Keys that no figure depends on; images that lie elsewhere are the same images. */
export const notInRecipes: readonly string[] = [
  ...['$schema', 'about', 'published', 'name', 'out', 'seed'],
  ...['logEvery', 'checkpointEvery', 'records', 'explain'],
  ...['data.root', 'data.storeDir', 'data.store', 'data.decoders', 'data.prefetch', 'data.strict'],
]

/** The recipe as JSON with sorted keys; a file of weights counts by its name. */
export function recipeOf(config: Config): string {
  const recipe = structuredClone(configToJson(config)) as Record<string, Record<string, unknown>>
  for (const path of notInRecipes) {
    const [part = '', key] = path.split('.')
    if (key === undefined) delete recipe[part]
    else delete recipe[part]?.[key]
  }
  const { weights } = config.model
  if (weights && recipe.model) {
    recipe.model.weights = weightRecord(weights) ? weights : basename(weights)
  }
  return canonical(withoutDefaults(schema, recipe))
}

export function hashOf(recipe: string): string {
  return createHash('sha256').update(recipe).digest('hex').slice(0, 16)
}

/** JSON with the keys of every object sorted. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    inner instanceof Object && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function withoutDefaults(type: z.ZodType, value: unknown): unknown {
  const shape = shapeOf(type, value)
  if (!shape) return value
  const kept = Object.entries(Object(value)).filter(([key, inner]) => {
    const byDefault = shape[key]?.safeParse(undefined)
    return !(byDefault?.success && canonical(byDefault.data) === canonical(inner))
  })
  return Object.fromEntries(
    kept.map(([key, inner]) => [key, shape[key] ? withoutDefaults(shape[key], inner) : inner]),
  )
}

/** The keys of an object; of a union those of the one that has the value's name. */
function shapeOf(type: z.ZodType, value: unknown): Record<string, z.ZodType> | undefined {
  const inner = unwrapped(type)
  if (inner instanceof z.ZodObject) return inner.shape
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return undefined
  const options = inner.options as z.ZodObject[]
  return options.find(({ shape }) => shape.name?.safeParse(Object(value).name).success)?.shape
}
