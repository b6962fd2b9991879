// The figures of a run, and of an evaluation, in words. Pure.

import type { Config } from '../../config/index.js'
import type { TestFigures } from '../../events.js'
import type { RunResult } from '../../train/result.js'
import type { EpochResult } from '../../train/session.js'
import { percent } from '../percent.js'

export function accuracyText({ top1, top5, meanPerClass }: TestFigures): string {
  return (
    `top-1 ${percent(top1, 2)}, top-5 ${percent(top5, 2)}, ` +
    `mean per class ${percent(meanPerClass, 2)}`
  )
}

/** What a run ends with: which epoch is best, on which images and weights, and its folder. */
export function resultText(
  { best, last, test, runDir }: RunResult,
  weights: Config['best']['of'],
): string {
  const ofWeights = weights === 'ema' ? ', average of the weights' : ''
  const line = (name: string, of: EpochResult, on: string) =>
    `${name}  epoch ${of.epoch + 1}: ${accuracyText(of)} (${on}${ofWeights})`
  const onTest = test.bestPickedOn === 'test'
  const where = onTest ? 'the test split' : 'the validation images'
  return [
    line('best', best, `picked on ${where}`),
    line('last', last, `on ${where}`),
    ...(onTest ? [] : [line('test', test, 'the best epoch on the test split, read once')]),
    `run   ${runDir}`,
  ].join('\n')
}
