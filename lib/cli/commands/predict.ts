// mcloss predict: the most probable classes of images.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { McLossError } from '../../errors.js'
import { type Prediction, predictEach } from '../../predict/each.js'
import type { ModelOptions } from '../../predict/model.js'
import { type Picture, picturesOf } from '../../predict/pictures.js'
import {
  answerJson,
  csvFile,
  embeddingsFile,
  jsonLinesFile,
  type ResultFile,
} from '../../predict/result-files.js'
import { deviceOption, positiveInteger } from '../options.js'
import { percent } from '../percent.js'
import { plain } from '../plain.js'
import { createCount } from '../progress.js'
import {
  exitCodes,
  print,
  printError,
  printJson,
  printWarning,
  stopOnSignals,
} from '../terminal.js'

export function define(command: Command): void {
  command
    .argument(
      '<images...>',
      "JPEG, PNG or WebP files, folders of them, or globs such as 'a/**/*.jpg'",
    )
    .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
    .option('--top <k>', 'how many classes to show', positiveInteger, 5)
    .option('--ema', 'the average of the weights that a run with optim.ema keeps')
    .option('--flip', 'the mean of the probabilities of each image and its mirror image')
    .option('--batch <n>', 'images in a batch; default: as the model was trained', positiveInteger)
    .addOption(deviceOption())
    .option('--json', 'print JSON')
    .option('--csv <file>', 'write a table there, a row per image')
    .option('--jsonl <file>', 'write JSON there, a line per image')
    .option('--embeddings <file>', 'write the input of the last layer there (safetensors)')
    .action(runPredict)
}

interface Options extends Omit<ModelOptions, 'batchSize' | 'onEvent'> {
  top: number
  batch?: number
  json?: boolean
  csv?: string
  jsonl?: string
  embeddings?: string
}

async function runPredict(
  images: string[],
  { batch, json, csv, jsonl, embeddings, ...options }: Options,
) {
  const signal = stopOnSignals()
  const pictures = await picturesOf('predict', images, (message) =>
    printWarning({ type: 'warning', message }),
  )
  const toFiles = [csv, jsonl, embeddings].filter((path) => path !== undefined)
  requireDifferent(toFiles)
  const count = toFiles.length > 0 ? createCount(process.stderr, process.stderr.isTTY) : undefined
  const files: ResultFile[] = []
  const kept: object[] = [] // of JSON, which is one text
  let [done, answered] = [0, 0]
  try {
    if (csv !== undefined) files.push(await csvFile(csv, options.top))
    if (jsonl !== undefined) files.push(await jsonLinesFile(jsonl))
    if (embeddings !== undefined) files.push(await embeddingsFile(embeddings, namesOf(pictures)))
    const answers = predictEach(pictures, {
      ...options,
      ...(batch && { batchSize: batch }),
      embeddings: embeddings !== undefined,
      signal,
      onEvent: printWarning,
    })
    for await (const answer of answers) {
      for (const file of files) await file.write(answer)
      if (json) kept.push(answerJson(answer))
      done++
      if (answer.error) {
        count?.clear()
        printError(answer.error.message)
        process.exitCode = exitCodes.failure
      } else {
        answered++
        if (!json && files.length === 0) printAnswer(answer)
      }
      count?.show(done, pictures.length)
    }
    for (const file of files) await file.finish()
  } catch (error) {
    for (const file of files) {
      const part = await file.stop()
      if (part) printError(`predict: ${part} has the first ${done} answers.`)
    }
    throw error
  } finally {
    count?.clear()
  }
  if (json) return printJson(kept)
  if (files.length > 0)
    print([`${answered} of ${done} images have an answer`, ...toFiles].join('\n'))
}

function requireDifferent(paths: string[]): void {
  if (new Set(paths.map((path) => resolve(path))).size === paths.length) return
  const given = paths.map((path) => `'${path}'`).join(' and ')
  throw new McLossError(
    'E_USAGE',
    `mcloss: expected files of different names but received ${given}.`,
  )
}

const namesOf = (pictures: readonly Picture[]) =>
  pictures.filter(({ error }) => !error).map(({ path }) => path)

function printAnswer({ path, top }: Prediction): void {
  print(plain(path))
  for (const { class: name, probability } of top) {
    print(`  ${percent(probability).padStart(7)}  ${plain(name)}`)
  }
}
