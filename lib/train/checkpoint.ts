// Checkpoints of a run: folders that are complete or not there, named by last and best (links.ts).
// Written beside their final name, flushed, renamed; older ones go only after the new one has been
// verified.

import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { NativeTrainer } from '../binding.js'
import { type Preprocessing, parsePreprocessing } from '../data/preprocessing.js'
import { McLossError } from '../errors.js'
import type { TestFigures, TrainFigures } from '../events.js'
import { systemReason, unlessMissing } from '../files/system-errors.js'
import { textOf } from '../files/text.js'
import { readWeightMetadata } from '../weights/index.js'
import { flushFolder, writeFlushed } from './disk.js'
import type { WeightsOrigin } from './initial-weights.js'
import { CHECKPOINTS, LINKS, type LinkName, linkedCheckpoint, locate, pointLink } from './links.js'
import { damaged, MANIFEST, manifestOf, newestWhole, verify } from './manifest.js'
import type { StatSums } from './metrics.js'

/** The best epoch so far. */
export type Best = TestFigures & { epoch: number }

/** state.json: all a run needs besides weights and velocities. */
export interface CheckpointState {
  version: 1
  /** Epochs done; steps done in the next one; steps done in all. */
  epoch: number
  stepInEpoch: number
  step: number
  /** What the unfinished epoch has added up. */
  totals: { stats: StatSums; seconds: number; waitSeconds: number }
  /** Earlier versions did not keep meanPerClass and classes. */
  best?: (Partial<TestFigures> & Omit<Best, 'meanPerClass' | 'classes'>) | undefined
  /** Of the epoch that has just ended; the split that best is picked on. */
  metrics: { train?: TrainFigures; validation?: TestFigures; test?: TestFigures }
  /** As configToJson. */
  config: object
  classes: string[]
  /** Left out by earlier versions. */
  preprocessing?: Preprocessing
  /** That are trained on. */
  trainSamples: number
  stepsPerEpoch: number
  libtorch: string
  /** What the run began with; left out if that was the seed alone, and by earlier versions. */
  weights?: WeightsOrigin | undefined
}

export interface Checkpoint {
  /** Its folder, links followed. */
  path: string
  state: CheckpointState
}

export interface SaveOptions {
  runDir: string
  trainer: Pick<NativeTrainer, 'save'>
  state: CheckpointState
  /** The links that shall name this checkpoint, moved in this order. */
  links: LinkName[]
}

/**
 * Saves a checkpoint, points the links at it, removes checkpoints no link names. Returns its
 * folder.
 *
 * @throws McLossError E_IO when it cannot be written; the checkpoints there before stay.
 */
export async function saveCheckpoint(options: SaveOptions): Promise<string> {
  const { runDir, trainer, state, links } = options
  const folder = join(runDir, CHECKPOINTS)
  const name = await freeName(folder, checkpointName(state))
  const [unfinished, path] = [join(folder, `.${name}.tmp`), join(folder, name)]
  try {
    await mkdir(folder, { recursive: true })
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(unfinished)
    await trainer.save(unfinished, modelMetadata(state))
    await writeFlushed(join(unfinished, 'state.json'), toText(state))
    await writeFlushed(join(unfinished, MANIFEST), toText(await manifestOf(unfinished)))
    await flushFolder(unfinished)
    await rename(unfinished, path)
    await flushFolder(folder)
    await verify(path)
    for (const link of links) await pointLink(runDir, link, name)
    await flushFolder(runDir)
    await prune(runDir)
    return path
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {})
    if (cause instanceof McLossError && cause.code !== 'E_IO') throw cause
    throw new McLossError(
      'E_IO',
      `checkpoint: ${path} could not be saved: ${systemReason(cause)} The checkpoints saved before are ` +
        `as they were. Then go on with: mcloss train --resume ${runDir}`,
      { cause },
    )
  }
}

/**
 * Opens a checkpoint folder, or the last checkpoint of a run folder, and verifies every file.
 *
 * @throws McLossError E_CHECKPOINT saying what is missing or damaged, and which other checkpoint of
 * the run is whole.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const { named, runDir, path: folder } = await locate(path, 'last')
  if (!runDir && !folder) {
    throw new McLossError(
      'E_CHECKPOINT',
      `checkpoint: expected a run folder or a checkpoint folder at ${named}, but nothing is there. ` +
        'A run prints its folder when it starts.',
    )
  }
  try {
    if (folder === undefined) throw damaged(named, 'the link names nothing')
    await verify(folder)
    return { path: folder, state: await readState(folder) }
  } catch (cause) {
    if (!(cause instanceof McLossError)) throw cause
    const all = runDir ? join(runDir, CHECKPOINTS) : dirname(folder ?? named)
    const whole = await newestWhole(all, folder && basename(folder))
    const advice = whole
      ? `Go on from ${whole} instead.`
      : 'No other checkpoint of the run is whole.'
    throw new McLossError('E_CHECKPOINT', `${cause.message} ${advice}`, { cause })
  }
}

async function readState(folder: string): Promise<CheckpointState> {
  const file = join(folder, 'state.json')
  const source = { file, reader: 'checkpoint', code: 'E_CHECKPOINT' } as const
  const state = JSON.parse(textOf(await readFile(file), source))
  if (state.version === 1) return state
  throw damaged(folder, `expected state.json of version 1 but received ${state.version}`)
}

export interface ModelMetadata {
  /** As configToJson. */
  config: object
  classes: string[]
  /** Left out by earlier versions. */
  preprocessing?: Preprocessing
  metrics: CheckpointState['metrics']
  libtorch: string
}

/**
 * What a model.safetensors says about itself in its header.
 *
 * @throws McLossError E_IO when it cannot be read, E_WEIGHTS when it is not a file of ours.
 */
export async function readModelMetadata(path: string): Promise<ModelMetadata> {
  const metadata = await readWeightMetadata(path)
  if (metadata.format !== 'mcloss' || !metadata.config || !metadata.classes) {
    throw new McLossError(
      'E_WEIGHTS',
      `weights: expected ${path} to be a model.safetensors of a run, with its classes and ` +
        'configuration inside, but it has none. Backbone weights go into model.weights of a training ' +
        'configuration.',
    )
  }
  try {
    return {
      config: JSON.parse(metadata.config),
      classes: JSON.parse(metadata.classes),
      ...(metadata.preprocessing && {
        preprocessing: parsePreprocessing(metadata.preprocessing),
      }),
      metrics: JSON.parse(metadata.metrics ?? '{}'),
      libtorch: metadata.libtorch ?? '',
    }
  } catch (cause) {
    throw new McLossError(
      'E_WEIGHTS',
      `weights: the header of ${path} is damaged (${(cause as Error).message}). Use another ` +
        'checkpoint of the run.',
      { cause },
    )
  }
}

// ---- names and contents ----

/** What saveCheckpoint makes, whole, unfinished or half removed. */
const OWN = /^\.?epoch-\d+-step-\d+(-\d+)?(\.tmp|\.old)?$/

/** Zero-padded, so that names sort as steps do. */
function checkpointName({ epoch, step }: CheckpointState): string {
  return `epoch-${String(epoch).padStart(4, '0')}-step-${String(step).padStart(8, '0')}`
}

/** A step saved again (after a resume) gets -2, -3, ...: the one before stays until this is whole. */
async function freeName(folder: string, name: string): Promise<string> {
  const what = `checkpoint: ${folder} cannot be read`
  const taken = (await unlessMissing(readdir(folder), 'E_IO', what)) ?? []
  let free = name
  for (let count = 2; taken.includes(free); count++) free = `${name}-${count}`
  return free
}

function modelMetadata(state: CheckpointState) {
  const { config, classes, preprocessing, metrics, libtorch } = state
  return {
    format: 'mcloss',
    config: JSON.stringify(config),
    classes: JSON.stringify(classes),
    ...(preprocessing && { preprocessing: JSON.stringify(preprocessing) }),
    metrics: JSON.stringify(metrics),
    libtorch,
  }
}

const toText = (value: object) => `${JSON.stringify(value, null, 2)}\n`

// ---- the disk ----

async function prune(runDir: string): Promise<void> {
  const linked = new Set<string>()
  for (const link of LINKS) {
    const name = await linkedCheckpoint(runDir, link)
    if (name) linked.add(name)
  }
  const folder = join(runDir, CHECKPOINTS)
  for (const name of await readdir(folder)) {
    if (linked.has(name) || !OWN.test(name)) continue
    const hidden = join(folder, name.startsWith('.') ? name : `.${name}.old`)
    if (!name.startsWith('.')) await rename(join(folder, name), hidden) // a half-removed one hides
    await rm(hidden, { recursive: true, force: true })
  }
}
