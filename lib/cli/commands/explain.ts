// mcloss explain: where the channels of the predicted class and of the runner-up look.

import type { Command } from 'commander'
import { McLossError } from '../../errors.js'
import { type ExplainOptions, explain } from '../../explain/explain.js'
import { deviceOption } from '../options.js'
import { plain } from '../plain.js'
import { exitCodes, print, printError, printWarning } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('[images...]', 'JPEG, PNG or WebP files, or folders of them')
    .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
    .requiredOption('--out <folder>', 'a new or empty folder for index.html, maps.json, PNG files')
    .option('--confused', "a sheet of the most confused pairs of classes on the data's test split")
    .option('--ema', 'the average of the weights that a run with optim.ema keeps')
    .addOption(deviceOption())
    .action(runExplain)
}

async function runExplain(images: string[], options: Omit<ExplainOptions, 'images'>) {
  if (images.length === 0 && !options.confused) {
    throw new McLossError(
      'E_USAGE',
      'mcloss explain: expected images or --confused but received neither. Name files or folders.',
    )
  }
  const { page, pictures } = await explain({ ...options, images, onEvent: printWarning })
  for (const { error } of pictures) {
    if (!error) continue
    printError(error.message)
    process.exitCode = exitCodes.failure
  }
  print(plain(page))
}
