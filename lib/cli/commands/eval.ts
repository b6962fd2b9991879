// mcloss eval: the figures of a model on a test split.

import type { Command } from 'commander'
import { evaluate } from '../../predict/inference.js'
import type { ModelOptions } from '../../predict/model.js'
import { deviceOption } from '../options.js'
import { accuracyText } from '../reports/result.js'
import { print, printJson, printWarning } from '../terminal.js'

export function define(command: Command): void {
  command
    .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
    .option('--data.root <folder>', 'other data of the kind the model was trained on')
    .option('--ema', 'the average of the weights that a run with optim.ema keeps')
    .option('--flip', 'the mean of the probabilities of each image and its mirror image')
    .addOption(deviceOption())
    .option('--report <folder>', 'write figures by class, confusions and mistakes there')
    .option('--json', 'print JSON')
    .action(runEval)
}

async function runEval(
  options: ModelOptions & { json?: boolean; report?: string; 'data.root'?: string },
) {
  const { 'data.root': root, json, ...model } = options
  const figures = await evaluate({
    ...model,
    ...(root && { data: { root } }),
    onEvent: printWarning,
  })
  if (json) return printJson(figures)
  print(`loss ${figures.loss.toFixed(4)}`)
  print(accuracyText(figures))
  print(`${figures.n} images`)
}
