// What a run carries from step to step: made new, or taken from a checkpoint of the same run.

import { basename, dirname } from 'node:path'
import { type Config, configToJson } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import { firstDifference } from '../difference.js'
import { McLossError } from '../errors.js'
import type { TestFigures } from '../events.js'
import type { Checkpoint } from './checkpoint.js'
import { type EpochTotals, emptyTotals, type Position } from './epoch.js'
import { createRunDir } from './folder.js'

/** What a run carries from step to step, and a checkpoint keeps. */
export interface Session {
  runDir: string
  position: Position
  totals: EpochTotals
  best: Best | undefined
  /** The folder of its newest checkpoint. */
  saved: string | undefined
}

export type Best = TestFigures & { epoch: number }

export async function freshSession(config: Config): Promise<Session> {
  return {
    runDir: await createRunDir(config),
    position: { epoch: 0, stepInEpoch: 0, step: 0 },
    totals: emptyTotals(),
    best: undefined,
    saved: undefined,
  }
}

/** Only its own run goes on from a checkpoint: its data, order and steps are those of the start. */
export function requireSameRun(
  { path, state }: Checkpoint,
  config: Config,
  dataset: Dataset,
  stepsPerEpoch: number,
): void {
  if (basename(dirname(path)) !== 'checkpoints') {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${path} lies in no run folder (expected RUN/checkpoints/NAME). Resume from the run ` +
        'folder, or put the checkpoint back into one.',
    )
  }
  const difference = firstDifference(state.classes, dataset.classes)
  if (difference !== undefined) {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${path} was trained on ${state.classes.length} classes, the data has ` +
        `${dataset.classes.length}; ${difference}. Resume with the data it was trained on.`,
    )
  }
  const differences = [
    ['seed', (state.config as Config).seed, config.seed],
    ['training images', state.trainSamples, dataset.train.length],
    ['steps an epoch', state.stepsPerEpoch, stepsPerEpoch],
  ].filter(([, then, now]) => then !== now)
  if (differences.length === 0) return
  throw new McLossError(
    'E_CHECKPOINT',
    `train: ${path} cannot go on with other samples in other steps: ` +
      `${differences.map(([name, then, now]) => `${name} ${then} then, ${now} now`).join('; ')}. ` +
      'Resume with the seed, data, optim.batchSize and optim.dropLast it was started with.',
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

/** The keys of model and loss, with their values as JSON. */
function settings(config: object): [string, string][] {
  const { model, loss } = config as Pick<Config, 'model' | 'loss'>
  return Object.entries({ model, loss }).flatMap(([part, values]) =>
    Object.entries(values).map(([key, value]): [string, string] => [
      `${part}.${key}`,
      JSON.stringify(value),
    ]),
  )
}

export function resumedSession({ path, state }: Checkpoint): Session {
  const { epoch, stepInEpoch, step } = state
  return {
    runDir: dirname(dirname(path)),
    position: { epoch, stepInEpoch, step },
    totals: state.totals,
    best: state.best,
    saved: path,
  }
}
