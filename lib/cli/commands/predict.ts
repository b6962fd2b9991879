// mcloss predict: the most probable classes of images.

import type { Command } from 'commander'
import type { Prediction } from '../../predict/each.js'
import { predict } from '../../predict/inference.js'
import type { ModelOptions } from '../../predict/model.js'
import { deviceOption, positiveInteger } from '../options.js'
import { percent } from '../percent.js'
import { plain } from '../plain.js'
import { exitCodes, print, printError, printJson, printWarning } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('<images...>', 'JPEG, PNG or WebP files, or folders of them')
    .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
    .option('--top <k>', 'how many classes to show', positiveInteger, 5)
    .option('--ema', 'the average of the weights that a run with optim.ema keeps')
    .option('--flip', 'the mean of the probabilities of each image and its mirror image')
    .addOption(deviceOption())
    .option('--json', 'print JSON')
    .action(runPredict)
}

async function runPredict(
  images: string[],
  options: ModelOptions & { top: number; json?: boolean },
) {
  const predictions = await predict(images, { ...options, onEvent: printWarning })
  for (const { error } of predictions) {
    if (!error) continue
    printError(error.message)
    process.exitCode = exitCodes.failure
  }
  if (options.json) return printJson(predictions.map(predictionJson))
  for (const { path, top, error } of predictions) {
    if (error) continue
    print(plain(path))
    for (const { class: name, probability } of top) {
      print(`  ${percent(probability).padStart(7)}  ${plain(name)}`)
    }
  }
}

function predictionJson({ path, top, error }: Prediction) {
  return { path, top, ...(error && { error: { code: error.code, message: error.message } }) }
}
