#!/usr/bin/env node
// The command line: words in, library calls, words out. Only this folder prints
// or exits.

import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import { loadConfigFile } from '../config/file.js'
import { type ConfigInput, defineConfig } from '../config/index.js'
import { runDemo } from '../demo.js'
import { doctor } from '../doctor.js'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { packageRoot, packageVersion } from '../machine.js'
import { channelGroups } from '../mc-loss.js'
import { evaluate, type ModelOptions, type Prediction, predict } from '../predict/inference.js'
import { resumedConfig } from '../train/session.js'
import { train } from '../train/train.js'
import { addBenchCommand } from './bench.js'
import { addDataCommand } from './data.js'
import { formatDemo } from './demo-report.js'
import { formatDoctor } from './doctor-report.js'
import { addConfigFlags, positiveInteger, refuseHomeSign, setFlags } from './flags.js'
import { percent } from './percent.js'
import { plain } from './plain.js'
import { accuracyText, resultText } from './result-report.js'
import {
  exitCodes,
  print,
  printError,
  printJson,
  printWarning,
  signals,
  stopOnSignals,
  stoppedBy,
  withProgress,
} from './terminal.js'
import { addWeightsCommand } from './weights.js'

// ---- commands ----

const program = new Command('mcloss')
  .description('Train fine-grained image classifiers with the Mutual-Channel Loss.')
  .version(packageVersion())
  .showSuggestionAfterError()
  .exitOverride()

const trainCommand = program
  .command('train')
  .argument('[config]', 'configuration file (JSON); examples/recipes/ holds one per published row')
  .option('--resume <path>', 'go on from a run folder or checkpoint')
  .description('train; every key of the configuration is a flag too, e.g. --optim.lr 0.01')
  .action(runTrain)
addConfigFlags(trainCommand)

addDataCommand(program)
addBenchCommand(program)
addWeightsCommand(program)

program
  .command('eval')
  .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
  .option('--ema', 'the average of the weights that a run with optim.ema keeps')
  .option('--data.root <folder>', 'other data of the kind the model was trained on')
  .addOption(deviceOption())
  .option('--json', 'print JSON')
  .description("loss, top-1, top-5 and mean per-class accuracy on the data's test split")
  .action(runEval)

program
  .command('predict')
  .argument('<images...>', 'JPEG, PNG or WebP files, or folders of them')
  .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
  .option('--ema', 'the average of the weights that a run with optim.ema keeps')
  .option('--top <k>', 'how many classes to show', positiveInteger, 5)
  .addOption(deviceOption())
  .option('--json', 'print JSON')
  .description('the most probable classes of each image')
  .action(runPredict)

program
  .command('groups')
  .requiredOption('--channels <C>', 'channels of the feature map', positiveInteger)
  .requiredOption('--classes <K>', 'classes', positiveInteger)
  .option('--json', 'print JSON')
  .description('which channels belong to which class')
  .action(runGroups)

program
  .command('setup')
  .allowUnknownOption()
  .helpOption(false)
  .argument('[options...]')
  .description('build the add-on with the LibTorch found here, or with --fetch a fetched one')
  .action(runSetup)

program
  .command('doctor')
  .option('--json', 'print JSON')
  .description('what is found on this machine: LibTorch, CUDA, the add-on')
  .action(runDoctor)

program
  .command('demo')
  .option('--out <folder>', 'where the images and run folders go', 'runs/demo')
  .option('--seed <n>', 'seed of the runs', Number, 0)
  .option('--threads <n>', 'threads', positiveInteger)
  .option('--epochs <n>', 'fewer epochs for a quick look', positiveInteger)
  .description('draw the birds, train with cross entropy and with MC-Loss, print a table')
  .action(runDemoCommand)

program.hook('preAction', (_, command) => {
  refuseHomeSign([...command.args, ...Object.values(command.opts())])
})

// ---- what they do ----

async function runTrain(file: string | undefined, options: Record<string, string>) {
  const { resume, ...flags } = options
  const input: ConfigInput = file
    ? await loadConfigFile(file)
    : resume
      ? await resumedConfig(resume)
      : ({} as ConfigInput)
  const config = defineConfig(setFlags(input, flags))
  const run = train(config, { signal: stopOnSignals(), ...(resume && { resume }) })
  await withProgress(async (progress) => {
    for await (const event of run) progress.show(event)
  })
  print(resultText(await run.result))
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

function runGroups(options: { channels: number; classes: number; json?: boolean }) {
  const groups = channelGroups(options.channels, options.classes)
  if (options.json) return printJson(groups)
  print(`${options.channels} channels over ${options.classes} classes`)
  const sizes = new Map<number, typeof groups>()
  for (const group of groups) {
    const size = group.end - group.begin
    sizes.set(size, [...(sizes.get(size) ?? []), group])
  }
  for (const [size, same] of sizes) {
    const [first, last] = [same[0], same.at(-1)]
    if (!first || !last) continue
    print(
      `${same.length} classes of ${size}: class ${first.class}..${last.class}, ` +
        `channels ${first.begin}..${last.end - 1}`,
    )
  }
}

function runSetup(args: string[]): Promise<void> {
  const child = spawn(process.execPath, [join(packageRoot, 'scripts/setup/setup.mjs'), ...args], {
    stdio: 'inherit',
  })
  return new Promise((settle, reject) => {
    child.on('error', reject)
    for (const signal of signals) process.on(signal, () => child.kill(signal))
    child.on('exit', (code, signal) => {
      const ended = signals.find((name) => name === signal) ?? 'failure'
      process.exitCode = code ?? exitCodes[ended]
      settle()
    })
  })
}

async function runDoctor(options: { json?: boolean }) {
  const report = await doctor()
  if (options.json) printJson(report)
  else print(formatDoctor(report))
  if (!report.ok) process.exitCode = exitCodes.failure
}

async function runDemoCommand(options: {
  out: string
  seed: number
  threads?: number
  epochs?: number
}) {
  const out = resolve(options.out)
  const demo = runDemo({ ...options, out, root: join(out, 'drawn-birds') }, stopOnSignals())
  const rows = await withProgress(async (progress) => {
    let next = await demo.next()
    for (; !next.done; next = await demo.next()) progress.show(next.value)
    return next.value
  })
  print('')
  print(formatDemo(rows))
  print('')
  for (const { loss, runDir } of rows) print(`${loss}  ${runDir}`)
}

// ---- options ----

function deviceOption(): Option {
  return new Option('--device <device>').choices(['cpu', 'cuda'])
}

// ---- the one place that turns errors into words and an exit code ----

try {
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
