// The entries of a study: every listed one with every combination of the axes, each with the runs that it
// asks for and the entry that it is compared to.

import { type Config, type ConfigInput, defineConfig } from '../config/index.js'
import { McLossError } from '../errors.js'
import { gridOf, pointsOf, productOf } from './grids.js'
import { canonical, hashOf, recipeOf } from './recipe.js'
import type { Study, StudyEntry } from './study.js'
import { isSame, type Values, valueAt, valuesText, withValues } from './values.js'

export interface Entry extends Pick<StudyEntry, 'orientation'> {
  /** Its name in the study with the values of the axes. */
  label: string
  name: string
  values: Values
  axes: Values
  seeds: number[]
  published?: StudyEntry['published']
  /** The configuration with the values. */
  input: ConfigInput
  /** What is tried when it is tuned; one point: there is nothing to choose. */
  points: Values[]
  /** What its figures are compared to; itself for a baseline. */
  baseline?: Entry
  /** What its runs come to, kept because it takes a while to work out. */
  recipes: Map<string, Recipe>
}

interface Recipe {
  config: Config
  hash: string
}

export interface Run {
  entry: Entry
  /** What the tuning has changed. */
  point: Values
  seed: number
  /** trial: of the tuning, on validation images. */
  kind: 'trial' | 'figure'
  config: Config
  hash: string
}

/** The name of a run within the file of finished runs, and of its folder. */
export const keyOf = ({ hash, seed }: Pick<Run, 'hash' | 'seed'>) => `${hash}-${seed}`

/** What the file of finished runs calls the runs of an entry at a point of its tuning. */
export const labelOf = (label: string, point: Values = {}) =>
  [label, valuesText(point)].filter(Boolean).join('; ')

/**
 * Checks every configuration of a study before anything is run.
 *
 * @throws McLossError E_CONFIG that names the entry.
 */
export function entriesOf(study: Study): Entry[] {
  const entries = study.entries.flatMap((given) =>
    productOf(study.axes).map((axes) => entryOf(study, given, axes)),
  )
  requireDifferent(entries, ({ label }) => label, 'have the same label')
  requireDifferent(entries, candidatesOf, 'are the same recipe')
  for (const entry of entries) {
    if (study.baseline) entry.baseline = baselineOf(entry, entries, study.baseline)
  }
  return entries
}

/** The recipes that its tuning chooses from. */
const candidatesOf = (entry: Entry) =>
  entry.points.map((point) => within(entry, () => figureRun(entry, point, 0)).hash).join()

function entryOf(study: Study, given: StudyEntry, axes: Values): Entry {
  const values = { ...axes, ...given.values }
  const name = given.label ?? valuesText(given.values)
  const entry = {
    label: [name, valuesText(axes)].filter(Boolean).join(', ') || study.name,
    ...{ name, values, axes },
    seeds: given.seeds ?? study.seeds,
    orientation: given.orientation,
    input: withValues(study.base, values),
    points: [{}],
    recipes: new Map(),
  }
  const { config, hash } = within(entry, () => figureRun(entry, {}, 0))
  const grid = given.grid ?? gridOf(config.loss.name, values)
  const published = given.published ?? publishedOf(study.base, hash)
  return {
    ...entry,
    ...(published && { published }),
    points: study.tune === undefined ? [{}] : pointsOf(grid, study.tune),
  }
}

/** What a recipe file says was published; it says so of its own recipe alone. */
function publishedOf(base: ConfigInput, hash: string): StudyEntry['published'] {
  const { published } = base as Pick<StudyEntry, 'published'>
  return published && completed(base).hash === hash ? published : undefined
}

/** A run for the table. The test split is read once, at its end. */
export function figureRun(entry: Entry, point: Values, seed: number): Run {
  return runOf(entry, 'figure', point, seed, undefined)
}

/** A run of the tuning: evaluated once, on images that are set aside from the training split. */
export function trialRun(entry: Entry, point: Values, seed: number, validation: number): Run {
  return runOf(entry, 'trial', point, seed, validation)
}

function runOf(
  entry: Entry,
  kind: Run['kind'],
  point: Values,
  seed: number,
  validation: number | undefined,
): Run {
  const key = canonical([kind, point, validation])
  const found = entry.recipes.get(key) ?? completed(withValues(entry.input, point), validation)
  entry.recipes.set(key, found)
  return { entry, point, seed, kind, config: { ...found.config, seed }, hash: found.hash }
}

/** With `trial`, the share of the training images that a trial is evaluated on. */
function completed(input: ConfigInput, trial?: number): Recipe {
  const validation = trial ?? input.data?.validation
  const config = defineConfig({
    ...input,
    threads: input.threads ?? 1, // that of the machine would be another recipe on each
    data: { ...input.data, validation },
  })
  const picksAnEpoch = validation !== undefined && trial === undefined
  const evalEvery = picksAnEpoch ? config.evalEvery : config.optim.epochs
  const whole = { ...config, evalEvery }
  return { config: whole, hash: hashOf(recipeOf(whole)) }
}

function within<T>({ label }: Entry, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof McLossError)) throw error
    throw new McLossError(error.code, `compare: entry '${label}': ${error.message}`, {
      cause: error,
    })
  }
}

function requireDifferent(entries: Entry[], of: (entry: Entry) => string, what: string): void {
  const seen = new Map<string, Entry>()
  for (const entry of entries) {
    const other = seen.get(of(entry))
    if (other) {
      throw new McLossError(
        'E_CONFIG',
        `compare: the entries '${other.label}' (${JSON.stringify(other.values)}) and ` +
          `'${entry.label}' (${JSON.stringify(entry.values)}) ${what}. Take one out, or change one.`,
      )
    }
    seen.set(of(entry), entry)
  }
}

/** The baseline whose other values are those of the entry, or the only baseline that there is. */
function baselineOf(entry: Entry, entries: Entry[], baseline: Values): Entry {
  const keys = Object.keys(baseline)
  const isBaseline = (one: Entry) =>
    keys.every((key) =>
      key === 'label'
        ? [one.name, one.label].includes(baseline.label as string)
        : isSame(valueAt(one.input, key), baseline[key]),
    )
  const others = ({ values, axes }: Entry) =>
    Object.fromEntries(
      Object.entries('label' in baseline ? axes : values).filter(
        ([path]) => !keys.some(isAbout(path)),
      ),
    )
  const all = entries.filter(isBaseline)
  const beside = all.filter((one) => isSame(others(one), others(entry)))
  const found = isBaseline(entry) ? [entry] : beside.length > 0 ? beside : all
  if (found.length === 1) return found[0] as Entry
  throw new McLossError(
    'E_CONFIG',
    `compare: expected one baseline with ${JSON.stringify(baseline)} for the entry '${entry.label}' ` +
      `but found ${found.length === 0 ? 'none' : found.map(({ label }) => `'${label}'`).join(', ')}. Give a baseline ` +
      "whose values exactly one entry has, or name that entry: label is an entry's label.",
  )
}

const isAbout = (path: string) => (key: string) =>
  path === key || path.startsWith(`${key}.`) || key.startsWith(`${path}.`)
