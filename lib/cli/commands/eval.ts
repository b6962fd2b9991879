// mcloss eval: the figures of a model on a test split.

import type { Command } from 'commander'
import { evaluate, type ModelOptions } from '../../predict/inference.js'
import { accuracyText } from '../accuracy.js'
import { deviceOption } from '../options.js'
import { print, printJson, printWarning } from '../terminal.js'

export function define(command: Command): void {
  command
    .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
    .option('--data.root <folder>', 'other data of the kind the model was trained on')
    .option('--flip', 'the mean of the probabilities of each image and its mirror image')
    .addOption(deviceOption())
    .option('--json', 'print JSON')
    .action(runEval)
}

async function runEval(options: ModelOptions & { json?: boolean; 'data.root'?: string }) {
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
