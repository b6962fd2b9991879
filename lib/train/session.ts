// What a run carries from step to step: made new, or taken from a checkpoint of the same run.

import { type Config, type ConfigInput, configToJson } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import { firstDifference } from '../difference.js'
import { McLossError } from '../errors.js'
import type { TestFigures } from '../events.js'
import { type Best, type Checkpoint, openCheckpoint } from './checkpoint.js'
import { requireFree } from './claim.js'
import { type EpochTotals, emptyTotals, type Position } from './epoch.js'
import { createRunDir } from './folder.js'
import type { WeightsOrigin } from './initial-weights.js'
import { locate } from './links.js'

/** What a run carries from step to step, and a checkpoint keeps. */
export interface Session {
  runDir: string
  position: Position
  totals: EpochTotals
  best: Best | undefined
  /** The epoch that has just ended, if it was evaluated; of a resumed run only on validation images. */
  last: EpochResult | undefined
  /** The folder of its newest checkpoint. */
  saved: string | undefined
  /** Whose weights it began with. */
  weights: WeightsOrigin | undefined
}

export interface EpochResult extends TestFigures {
  epoch: number
  checkpoint: string
}

export async function freshSession(
  config: Config,
  weights: WeightsOrigin | undefined,
): Promise<Session> {
  return {
    runDir: await createRunDir(config),
    position: { epoch: 0, stepInEpoch: 0, step: 0 },
    totals: emptyTotals(),
    best: undefined,
    last: undefined,
    saved: undefined,
    weights,
  }
}

/**
 * The run folder that a run resumed from `path` goes on in.
 *
 * @throws McLossError E_CHECKPOINT for a checkpoint that lies in none, or where nothing is.
 */
export async function resumedRunDir(path: string): Promise<string> {
  const { named, runDir, path: there } = await locate(path, 'last')
  if (runDir) return runDir
  throw new McLossError(
    'E_CHECKPOINT',
    there
      ? `train: ${there} lies in no run folder (expected RUN/checkpoints/NAME). Resume from the run ` +
          'folder, or put the checkpoint back into one.'
      : `train: expected a run folder or a checkpoint of one at ${named}, but nothing is there. ` +
          'A run prints its folder when it starts.',
  )
}

/**
 * The configuration that a run resumed from `path` was started with.
 *
 * @throws McLossError E_BUSY while the run goes on elsewhere; E_CHECKPOINT.
 */
export async function resumedConfig(path: string): Promise<ConfigInput> {
  await requireFree(await resumedRunDir(path)) // else its checkpoints go while they are read
  return (await openCheckpoint(path)).state.config as ConfigInput
}

/** Only its own run goes on from a checkpoint: its data, order, steps and choice are those of the start. */
export function requireSameRun(
  { path, state }: Checkpoint,
  config: Config,
  dataset: Dataset,
  trainSamples: number,
  stepsPerEpoch: number,
): void {
  const difference = firstDifference(state.classes, dataset.classes)
  if (difference !== undefined) {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${path} was trained on ${state.classes.length} classes, the data has ` +
        `${dataset.classes.length}; ${difference}. Resume with the data it was trained on.`,
    )
  }
  const then = state.config as Config
  const differences = [
    ['seed', then.seed, config.seed],
    ['data.validation', then.data.validation ?? 'none', config.data.validation ?? 'none'],
    ['training images', state.trainSamples, trainSamples],
    ['steps an epoch', state.stepsPerEpoch, stepsPerEpoch],
    ['best.of', then.best?.of ?? 'raw', config.best.of],
  ].filter(([, then, now]) => then !== now)
  if (differences.length === 0) return
  throw new McLossError(
    'E_CHECKPOINT',
    `train: ${path} cannot go on as another run than it began: ` +
      `${differences.map(([name, then, now]) => `${name} ${then} then, ${now} now`).join('; ')}. ` +
      'Resume with the seed, data, data.validation, optim.batchSize, optim.dropLast and best.of it ' +
      'was started with.',
  )
}

/** The weights of a checkpoint did not fit; what of the model and the loss has changed says why. */
export function misfit(error: unknown, { state }: Checkpoint, config: Config): unknown {
  if (!(error instanceof McLossError)) return error
  const then = new Map(settings(state.config))
  const now = new Map(settings(configToJson(config)))
  const keys = [...new Set([...then.keys(), ...now.keys()])].filter(
    (key) => then.get(key) !== now.get(key),
  )
  if (keys.length === 0) return error
  const changed = keys.map((key) => `${key} ${then.get(key)} then, ${now.get(key)} now`)
  return new McLossError(
    error.code,
    `${error.message} What has changed since the run was started: ${changed.join('; ')}.`,
    { cause: error },
  )
}

/** The keys that say which tensors a checkpoint has, with their values as JSON. */
function settings(config: object): [string, string][] {
  const { model, loss, optim: all } = config as Pick<Config, 'model' | 'loss' | 'optim'>
  const { name = 'sgd', momentum, ema } = all // of earlier versions: no name
  return Object.entries({ model, loss, optim: { name, momentum, ema } }).flatMap(([part, values]) =>
    Object.entries(values).map(([key, value]): [string, string] => [
      `${part}.${key}`,
      JSON.stringify(value),
    ]),
  )
}

export function resumedSession(runDir: string, { path, state }: Checkpoint): Session {
  const { epoch, stepInEpoch, step, metrics, best } = state
  const isOfEma = (state.config as Config).best?.of === 'ema'
  const last = metrics.validation && (isOfEma ? metrics.ema : metrics.validation)
  return {
    runDir,
    position: { epoch, stepInEpoch, step },
    totals: state.totals,
    best: best && { meanPerClass: Number.NaN, classes: 0, ...best },
    last: last && { ...last, epoch: epoch - 1, checkpoint: path },
    saved: path,
    weights: state.weights,
  }
}
