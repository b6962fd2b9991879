#!/usr/bin/env node
// The command line: words in, library calls, words out. The only file that prints or exits.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError, Option } from 'commander'
import { openCheckpoint } from './checkpoint.js'
import { type ConfigInput, defineConfig } from './config.js'
import { configKeys, loadConfigFile, setConfigValue } from './config-file.js'
import { contactSheet } from './contact-sheet.js'
import { checkData } from './data-check.js'
import { formatDataReport } from './data-report.js'
import { openDataset } from './datasets/index.js'
import { demoTable, runDemo } from './demo.js'
import { doctor, formatDoctor } from './doctor.js'
import { McLossError } from './errors.js'
import { evaluate, type ModelOptions, predict } from './inference.js'
import { countProgress, createLogger, type Logger } from './logger.js'
import { channelGroups } from './mc-loss.js'
import { train } from './trainer.js'

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..')
const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))

const exitCodes = { failure: 1, usage: 2, SIGINT: 130, SIGTERM: 143 } as const

const signals = ['SIGINT', 'SIGTERM'] as const
let stoppedBy: (typeof signals)[number] | undefined

/**
 * The first signal asks a run to save and stop; one that comes more than a second later ends the
 * process at once. Until then they are the same one: npx and timeout pass on what the terminal's
 * process group has got already.
 */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController()
  const ask = (signal: NodeJS.Signals) => {
    if (stoppedBy) return
    stoppedBy = signal as (typeof signals)[number]
    stop.abort()
    setTimeout(() => {
      for (const again of signals) process.off(again, ask)
    }, 1000).unref()
  }
  for (const signal of signals) process.on(signal, ask)
  return stop.signal
}

// A reader that has gone (a closed pipe) ends no run; what it would have read is dropped.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

// ---- commands ----

const program = new Command('mcloss')
  .description('Train fine-grained image classifiers with the Mutual-Channel Loss.')
  .version(version)
  .showSuggestionAfterError()
  .exitOverride()

const trainCommand = program
  .command('train')
  .argument('[config]', 'configuration file (JSON); examples/recipes/ holds one per published row')
  .option('--resume <path>', 'go on from a run folder or checkpoint')
  .description('train; every key of the configuration is a flag too, e.g. --optim.lr 0.01')
  .action(runTrain)
for (const { path, description } of configKeys()) {
  trainCommand.addOption(new Option(`--${path} <value>`, description))
}

program
  .command('eval')
  .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
  .option('--data.root <folder>', 'other data of the kind the model was trained on')
  .addOption(deviceOption())
  .option('--json', 'print JSON')
  .description("loss, top-1 and top-5 on the data's test split")
  .action(runEval)

program
  .command('predict')
  .argument('<images...>', 'JPEG, PNG or WebP files')
  .requiredOption('--weights <path>', 'model.safetensors, checkpoint folder or run folder')
  .option('--top <k>', 'how many classes to show', positiveInteger, 5)
  .addOption(deviceOption())
  .option('--json', 'print JSON')
  .description('the most probable classes of each image')
  .action(runPredict)

const dataCommand = program.command('data').description('look at data before training on it')

dataCommand
  .command('check')
  .argument('<name>', 'reader of the data, as data.name')
  .argument('<root>', 'folder of the data')
  .option('--json', 'print JSON')
  .option('--strict', 'fail where a count differs from the official one')
  .description('every file of a data set: missing, unreadable, twice there; sizes, class balance')
  .action(runDataCheck)

const showCommand = dataCommand
  .command('show')
  .argument('[config]', 'configuration file (JSON)')
  .addOption(
    new Option('--split <split>', 'whose images').choices(['train', 'test']).default('train'),
  )
  .option('--epoch <n>', 'whose windows, from 0', wholeNumber, 0)
  .option('--count <n>', 'images', positiveInteger, 32)
  .requiredOption('--out <file>', 'the PNG file to write')
  .description('a sheet of what the network sees: crops and flips with their classes')
  .action(runDataShow)
for (const { path, description } of configKeys()) {
  if (path !== 'seed' && !path.startsWith('data.')) continue
  showCommand.addOption(new Option(`--${path} <value>`, description))
}

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

// ---- what they do ----

async function runTrain(file: string | undefined, options: Record<string, string>) {
  const { resume, ...flags } = options
  const input: ConfigInput = file
    ? await loadConfigFile(file)
    : resume
      ? ((await openCheckpoint(resume)).state.config as ConfigInput)
      : ({} as ConfigInput)
  for (const [path, value] of Object.entries(flags)) setConfigValue(input, path, value)
  const config = defineConfig(input)
  const run = train(config, { signal: stopOnSignals(), ...(resume && { resume }) })
  await withLogger(async (log) => {
    for await (const event of run) log.show(event)
  })
  const { best, last, runDir } = await run.result
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`
  print(`best  epoch ${best.epoch + 1}: top-1 ${percent(best.top1)}, top-5 ${percent(best.top5)}`)
  print(`last  epoch ${last.epoch + 1}: top-1 ${percent(last.top1)}, top-5 ${percent(last.top5)}`)
  print(`run   ${runDir}`)
}

async function runEval(options: ModelOptions & { json?: boolean; 'data.root'?: string }) {
  const { 'data.root': root, json, ...model } = options
  const figures = await evaluate({ ...model, ...(root && { data: { root } }) })
  if (json) return printJson(figures)
  print(`loss ${figures.loss.toFixed(4)}`)
  print(`top-1 ${(100 * figures.top1).toFixed(2)} %, top-5 ${(100 * figures.top5).toFixed(2)} %`)
  print(`${figures.n} images`)
}

async function runPredict(
  images: string[],
  options: ModelOptions & { top: number; json?: boolean },
) {
  const predictions = await predict(images, options)
  if (options.json) return printJson(predictions)
  for (const { path, top } of predictions) {
    print(path)
    for (const { class: name, probability } of top) {
      print(`  ${(100 * probability).toFixed(1).padStart(5)} %  ${name}`)
    }
  }
}

async function runDataCheck(
  name: string,
  root: string,
  options: { json?: boolean; strict?: boolean },
) {
  const progress = process.stderr.isTTY ? countProgress(process.stderr, 'files') : undefined
  const report = await checkData(name, {
    root,
    strict: options.strict,
    signal: stopOnSignals(),
    onProgress: progress?.show,
  }).finally(progress?.close)
  if (options.json) printJson(report)
  else print(formatDataReport(report))
  if (!report.ok) process.exitCode = exitCodes.failure
}

async function runDataShow(
  file: string | undefined,
  options: { split: 'train' | 'test'; epoch: number; count: number; out: string },
) {
  const { split, epoch, count, out, ...flags } = options
  const input: ConfigInput = file
    ? await loadConfigFile(file)
    : ({ ...showDefaults, data: {} } as ConfigInput)
  for (const [path, value] of Object.entries(flags)) setConfigValue(input, path, String(value))
  const config = defineConfig(input)
  const signal = stopOnSignals()
  const dataset = await openDataset({ ...config.data, signal })
  const { png } = await contactSheet(dataset, config, { split, epoch, count, signal })
  await writeFile(out, png).catch((cause) => {
    throw new McLossError('E_IO', `mcloss: ${out} cannot be written (${cause.code}).`, { cause })
  })
  print(resolve(out))
}

/** The parts of a configuration that a sheet has no use for. */
const showDefaults = {
  model: { backbone: 'toy' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 1, epochs: 1, batchSize: 1 },
} as const

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
  const child = spawn(process.execPath, [join(packageRoot, 'scripts/setup.mjs'), ...args], {
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
  const rows = await withLogger(async (log) => {
    let next = await demo.next()
    for (; !next.done; next = await demo.next()) log.show(next.value)
    return next.value
  })
  print('')
  print(demoTable(rows))
  print('')
  for (const { loss, runDir } of rows) print(`${loss}  ${runDir}`)
}

async function withLogger<T>(use: (log: Logger) => Promise<T>): Promise<T> {
  const log = createLogger({ stream: process.stdout, isTty: process.stdout.isTTY })
  try {
    return await use(log)
  } finally {
    log.close()
  }
}

// ---- options ----

function deviceOption(): Option {
  return new Option('--device <device>').choices(['cpu', 'cuda'])
}

function wholeNumber(text: string): number {
  return text === '0' ? 0 : positiveInteger(text)
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new McLossError('E_USAGE', `mcloss: expected a positive integer but received '${text}'.`)
}

// ---- the one place that turns errors into words and an exit code ----

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage
  if (!(error instanceof McLossError)) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    return exitCodes.failure
  }
  process.stderr.write(`${error.message}\n`)
  if (error.code === 'E_ABORTED' && stoppedBy) return exitCodes[stoppedBy]
  return error.code === 'E_USAGE' || error.code === 'E_CONFIG' ? exitCodes.usage : exitCodes.failure
}
