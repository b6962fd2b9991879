#!/usr/bin/env node
// The command line: words in, library calls, words out. Only this folder prints
// or exits.

import { Command, CommanderError } from 'commander'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { packageVersion } from '../machine.js'
import { refuseHomeSign } from './options.js'
import { exitCodes, printError, stoppedBy } from './terminal.js'

interface CommandFile {
  /** Its arguments, options, subcommands and action. */
  define(command: Command): void
}

/** Each command's words and file. Only the file of the command that is called is loaded. */
const commands: Record<string, [words: string, load: () => Promise<CommandFile>]> = {
  train: [
    'train; every key of the configuration is a flag too, e.g. --optim.lr 0.01',
    () => import('./commands/train.js'),
  ],
  data: ['a data set before training on it', () => import('./commands/data.js')],
  bench: [
    'images/s of a configuration on this machine; recommends settings, changes none',
    () => import('./commands/bench.js'),
  ],
  compare: [
    'configurations over seeds: a table with differences and their intervals',
    () => import('./commands/compare.js'),
  ],
  report: [
    'one HTML file of a run or of several: curves, classes, confusions, mistakes',
    () => import('./commands/report.js'),
  ],
  dashboard: [
    'a live page of the runs below a folder, with a button that stops one',
    () => import('./commands/dashboard.js'),
  ],
  weights: ['pretrained weights to start from', () => import('./commands/weights.js')],
  eval: [
    "loss, top-1, top-5 and mean per-class accuracy on the data's test split",
    () => import('./commands/eval.js'),
  ],
  predict: ['the most probable classes of each image', () => import('./commands/predict.js')],
  export: [
    'a trained model for other programs: ONNX, or weights under other names',
    () => import('./commands/export.js'),
  ],
  explain: [
    'where the channels of a class look: a page of pictures with their channel maps',
    () => import('./commands/explain.js'),
  ],
  groups: ['which channels belong to which class', () => import('./commands/groups.js')],
  setup: [
    'build the add-on with the LibTorch found here, or with --fetch a fetched one',
    () => import('./commands/setup.js'),
  ],
  doctor: [
    'what is found on this machine: LibTorch, CUDA, the add-on',
    () => import('./commands/doctor.js'),
  ],
  demo: [
    'draw the birds, train with cross entropy and with MC-Loss, print a table, write a report',
    () => import('./commands/demo.js'),
  ],
}

const program = new Command('mcloss')
  .description('Train fine-grained image classifiers with the Mutual-Channel Loss.')
  .version(packageVersion())
  .showSuggestionAfterError()
  .exitOverride()

program.hook('preAction', (_, command) => {
  refuseHomeSign([...command.args, ...Object.values(command.opts())])
})

// ---- the one place that turns errors into words and an exit code ----

try {
  const called = process.argv.slice(2).find((word) => Object.hasOwn(commands, word))
  for (const [name, [words, load]] of Object.entries(commands)) {
    const command = program.command(name).description(words)
    if (name === called) (await load()).define(command)
  }
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage
  if (error instanceof Error && 'syscall' in error) {
    const { path, syscall } = error as NodeJS.ErrnoException
    printError(`mcloss: ${path ?? syscall}: ${systemReason(error)}`)
    return exitCodes.failure
  }
  if (!(error instanceof McLossError)) {
    printError(`${error instanceof Error ? error.stack : String(error)}`)
    return exitCodes.failure
  }
  printError(error.message)
  const stop = stoppedBy()
  if (error.code === 'E_ABORTED' && stop) return exitCodes[stop]
  return error.code === 'E_USAGE' || error.code === 'E_CONFIG' ? exitCodes.usage : exitCodes.failure
}
