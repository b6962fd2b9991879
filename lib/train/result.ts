// The end of a run: its result, with the one evaluation of the test split where best is not picked on it.

import { join } from 'node:path'
import { McLossError } from '../errors.js'
import type { EvaluatedSplit } from '../events.js'
import { answersOf, type EvaluatedBatch } from '../records/answers.js'
import { writeReport } from '../records/report.js'
import type { RunContext } from './context.js'
import { bestPickedOn, testBest } from './evaluation.js'
import { areFinite, testFigures } from './metrics.js'
import type { EpochResult } from './session.js'

/** Of the run folder. */
const REPORT = 'report'

/** Of a run that leaves the test split out. */
export interface ValidationResult {
  runDir: string
  /**
   * The epoch with the best value of config.best.metric on the split that best is picked on, its
   * figures there, and the link to it. All figures are of the weights that config.best.of names.
   */
  best: EpochResult
  /** The last epoch, on the same split. */
  last: EpochResult
}

export interface RunResult extends ValidationResult {
  /** The best epoch's figures on the test split, which is where it was picked, or was read once for this. */
  test: EpochResult & { bestPickedOn: EvaluatedSplit }
}

/** How a run ends. */
export interface Ending<Result> {
  /** False: the run goes on without a test split, so that none of its images is looked at. */
  hasTest: boolean
  resultOf(run: RunContext, hasEpochs: boolean, signal: AbortSignal | undefined): Promise<Result>
}

/** A run as users start it. */
export const tested: Ending<RunResult> = { hasTest: true, resultOf }

/** A run that is judged by its validation images alone. */
export const validated: Ending<ValidationResult> = {
  hasTest: false,
  resultOf: async (run, hasEpochs) => validationResultOf(run, hasEpochs),
}

async function resultOf(
  run: RunContext,
  hasEpochs: boolean,
  signal: AbortSignal | undefined,
): Promise<RunResult> {
  const result = validationResultOf(run, hasEpochs)
  const pickedOn = bestPickedOn(run.config)
  const test = pickedOn === 'test' ? result.best : await testResult(run, result.best, signal)
  if (pickedOn === 'test') await reportBest(run, signal)
  return { ...result, test: { ...test, bestPickedOn: pickedOn } }
}

/** What the epochs came to. */
function validationResultOf(run: RunContext, hasEpochs: boolean): ValidationResult {
  const { config, runDir, last } = run
  const { epochs } = config.optim
  if (hasEpochs && !(last && run.best)) {
    throw new McLossError(
      'E_NUMERICS',
      'train: the figures of the last epoch are not finite, so that there is no result. Lower ' +
        `optim.lr, or look at the warnings in ${join(runDir, 'metrics.jsonl')}. ` +
        keptText(run),
    )
  }
  // A resumed run without epochs has a last one where the test split is still to be read.
  if (!last || !run.best || last.epoch !== epochs - 1) {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${runDir} has already done its ${epochs} epochs; nothing is left to train. ` +
        'Raise optim.epochs to go on.',
    )
  }
  return { runDir, best: { ...run.best, checkpoint: join(runDir, 'best') }, last }
}

/** The run is at its end: an abort leaves the report out, and nothing else. */
async function reportBest(run: RunContext, signal: AbortSignal | undefined): Promise<void> {
  const batches = run.bestBatches ?? (await testBest(run, signal))
  if (batches) return await report(run, batches)
  const folder = join(run.runDir, REPORT)
  const message =
    `train: stopped before the report; write it with: mcloss eval --weights ${run.runDir} ` +
    `--report ${folder}`
  run.journal.emit({ type: 'warning', message })
}

/** Of the one evaluation of the test split in a run that picks on validation images. */
async function testResult(
  run: RunContext,
  { epoch, checkpoint }: EpochResult,
  signal: AbortSignal | undefined,
): Promise<EpochResult> {
  const began = performance.now()
  const batches = await testBest(run, signal)
  if (!batches) {
    throw new McLossError(
      'E_ABORTED',
      `train: stopped in the evaluation of the test split; every epoch is saved in ${run.saved}. ` +
        `Go on with: mcloss train --resume ${run.runDir}`,
    )
  }
  const test = testFigures(batches)
  if (!areFinite(test)) {
    throw new McLossError(
      'E_NUMERICS',
      `train: the figures of ${checkpoint} on the test split are not finite, though they are on the ` +
        'validation images. Look at the test images with: mcloss data check',
    )
  }
  const seconds = (performance.now() - began) / 1000
  run.journal.emit({ type: 'test', epoch, checkpoint, test, seconds })
  await report(run, batches)
  return { ...test, epoch, checkpoint }
}

function report({ dataset, runDir }: RunContext, batches: EvaluatedBatch[]): Promise<void> {
  return writeReport(join(runDir, REPORT), answersOf(dataset.classes, dataset.test, batches))
}

/** What a run that ends with E_NUMERICS leaves, and how to go on. */
export function keptText({ saved, runDir }: RunContext): string {
  return saved
    ? `The last checkpoint is ${saved}; go on from it with: mcloss train --resume ${runDir} ` +
        '--optim.lr RATE'
    : 'No checkpoint was saved; start anew.'
}
