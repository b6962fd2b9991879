// The learning rate as a pure function of the step, so that a resumed run has the same.

import { checkArgument, count } from '../arguments.js'
import { type Config, type ConfigInput, completeConfig } from '../config/index.js'
import { McLossError } from '../errors.js'

/**
 * The backbone's learning rate at a step of the whole run (from 0). constant: lr; multi-step: lr *
 * gamma^(milestones passed); cosine: lr * (1 + cos(pi * epoch / epochs)) / 2, constant within an
 * epoch; a function of one's own: as it is. Over the steps of warmupEpochs the rate rises in a
 * straight line to lr; then the schedule goes on as if there had been no warm-up.
 *
 * @throws McLossError E_CONFIG when a function of one's own gives no finite number >= 0, or is not
 * there (a configuration read back from a file cannot hold one).
 */
export function makeSchedule(
  given: Config | ConfigInput,
  stepsPerEpoch: number,
): (step: number) => number {
  const config = completeConfig('makeSchedule', given)
  checkArgument('makeSchedule', 'stepsPerEpoch', count, stepsPerEpoch)
  const rate = rateOf(config, stepsPerEpoch)
  const { lr, warmupEpochs } = config.optim
  const warmupSteps = Math.round(warmupEpochs * stepsPerEpoch)
  return (step) => (step < warmupSteps ? (lr * (step + 1)) / warmupSteps : rate(step))
}

function rateOf({ optim }: Config, stepsPerEpoch: number): (step: number) => number {
  const { lr, schedule, gamma, milestones = [], epochs } = optim
  const epochOf = (step: number) => Math.floor(step / stepsPerEpoch)
  if (typeof schedule === 'function') return (step) => checked(schedule(step), step)
  switch (schedule) {
    case 'constant':
      return () => lr
    case 'multi-step':
      return (step) => lr * gamma ** milestones.filter((epoch) => epoch <= epochOf(step)).length
    case 'cosine':
      return (step) => (lr * (1 + Math.cos((Math.PI * epochOf(step)) / epochs))) / 2
    case 'own':
      throw new McLossError(
        'E_CONFIG',
        "config: optim.schedule 'own' stands for a function (step) => lr that this configuration was " +
          'made with; resume from the script that gives it, or choose another schedule.',
      )
  }
}

function checked(rate: number, step: number): number {
  if (Number.isFinite(rate) && rate >= 0) return rate
  throw new McLossError(
    'E_CONFIG',
    `config: expected optim.schedule to give a finite learning rate >= 0 but received ${rate} at ` +
      `step ${step}.`,
  )
}
