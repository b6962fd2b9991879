// Steps that native left out because a value was not finite. The first is told with its likely
// cause and its samples; a row of them ends the run.

import { McLossError } from '../errors.js'
import type { WarningEvent } from '../events.js'

/** A step whose statistics are still to be read. */
export interface GivenStep {
  /** Of the whole run, from 0. */
  step: number
  lr: number
  /** Positions in the training split. */
  samples: Int32Array
}

export interface SkipWatch {
  /**
   * Whether the statistics of the coming step are to be read by themselves. A CPU has them at once; a
   * GPU would be waited for, so there it is true only after a skipped step.
   */
  readonly readsEachStep: boolean
  /**
   * Takes the steps whose statistics were read together, and how many of them were skipped.
   *
   * @throws McLossError E_NUMERICS when max(3, logEvery) steps in a row were skipped.
   */
  see(steps: GivenStep[], skipped: number): void
}

export interface WatchOptions {
  device: 'cpu' | 'cuda'
  precision: 'fp32' | 'bf16'
  logEvery: number
  /** The file of a training sample. */
  pathOf: (sample: number) => string
  emit: (event: WarningEvent) => void
  /** What is left of the run, for the error. */
  kept: () => string
}

/** Files that a message names; the event has them all. */
const NAMED = 4

export function watchSkipped(options: WatchOptions): SkipWatch {
  const { device, logEvery, pathOf, emit, kept } = options
  const most = Math.max(3, logEvery)
  let inRow = 0
  let isSuspicious = false
  let isTold = false

  const tell = (steps: GivenStep[], skipped: number) => {
    const files = [...new Set(steps.flatMap(({ samples }) => Array.from(samples, pathOf)))]
    const [first, last] = [steps[0] as GivenStep, steps.at(-1) as GivenStep]
    const which =
      steps.length === 1
        ? `step ${first.step} (from 0) was skipped`
        : `${skipped} of the steps ${first.step}..${last.step} (from 0) were skipped`
    emit({
      type: 'warning',
      message:
        `train: ${which}: the loss or the gradient was not finite; the weights stay as they were. ` +
        `${causeOf(first, options)} The samples: ${named(files)}.`,
      files,
    })
  }

  return {
    get readsEachStep() {
      return device === 'cpu' || isSuspicious
    },
    see(steps, skipped) {
      isSuspicious = skipped > 0
      // Which of several steps were skipped is not known: only a row without a good one counts.
      inRow = skipped === steps.length ? inRow + skipped : 0
      if (skipped === 0) return
      // Of a row the first step is the one that was skipped first.
      if (!isTold) tell(skipped === steps.length ? steps.slice(0, 1) : steps, skipped)
      isTold = true
      if (inRow < most) return
      const last = steps.at(-1) as GivenStep
      throw new McLossError(
        'E_NUMERICS',
        `train: stopped at step ${last.step} (from 0): the last ${inRow} steps were skipped, expected ` +
          `a finite loss and gradient within ${most} steps. ${causeOf(last, options)} ${kept()}`,
      )
    },
  }
}

function causeOf({ step, lr }: GivenStep, { precision }: WatchOptions): string {
  const cause =
    step === 0
      ? 'No step came before it, so that the learning rate is not the cause: look at data.mean, ' +
        'data.std, the weights of the loss and model.weights'
      : `The likely cause is the learning rate, ${lr.toPrecision(3)} at this step: lower optim.lr, or give it ` +
        'optim.warmupEpochs; if single steps are skipped now and then, it is one of their samples'
  return `${cause}${precision === 'bf16' ? '; or the precision: try precision fp32' : ''}.`
}

function named(files: string[]): string {
  const more = files.length > NAMED ? `, and ${files.length - NAMED} more` : ''
  return files.slice(0, NAMED).join(', ') + more
}
