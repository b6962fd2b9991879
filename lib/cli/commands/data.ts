// mcloss data: check a data set, look at what the network sees of it, decode it once.

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { loadConfigFile } from '../../config/file.js'
import { type Config, type ConfigInput, defineConfig } from '../../config/index.js'
import type { Split } from '../../data/batch.js'
import { checkData } from '../../data/check.js'
import { openDataset } from '../../data/datasets/index.js'
import { prepareStores } from '../../data/store/index.js'
import { McLossError } from '../../errors.js'
import { systemReason } from '../../files/system-errors.js'
import { sizeText } from '../../machine.js'
import { contactSheet } from '../../pictures/contact-sheet.js'
import { addConfigFlags, setFlags } from '../config-flags.js'
import { positiveInteger, wholeNumber } from '../options.js'
import { countText, statusLine } from '../progress.js'
import { formatDataReport } from '../reports/data.js'
import {
  exitCodes,
  print,
  printJson,
  printWarning,
  stopOnSignals,
  withProgress,
} from '../terminal.js'

export function define(data: Command): void {
  data
    .command('check')
    .argument('<name>', 'reader of the data, as data.name')
    .argument('<root>', 'folder of the data')
    .option('--json', 'print JSON')
    .option('--strict', 'fail where a count differs from the official one')
    .description('every file of a data set: missing, unreadable, twice there; sizes, class balance')
    .action(runCheck)

  const show = data
    .command('show')
    .argument('[config]', 'configuration file (JSON)')
    .addOption(
      new Option('--split <split>', 'whose images').choices(['train', 'test']).default('train'),
    )
    .option('--epoch <n>', 'whose windows, from 0', wholeNumber, 0)
    .option('--count <n>', 'images', positiveInteger, 32)
    .requiredOption('--out <file>', 'the PNG file to write')
    .description('a sheet of what the network sees: crops, flips and colours with their classes')
    .action(runShow)
  addConfigFlags(show, (path) => path === 'seed' || path.startsWith('data.'))

  const prepare = data
    .command('prepare')
    .argument('[config]', 'configuration file (JSON)')
    .option('--verify', 'also read what is decoded against its checksums')
    .description('decode every image once into the stores that runs then open')
    .action(runPrepare)
  addConfigFlags(prepare, (path) => path === 'out' || path.startsWith('data.'))
}

async function runCheck(name: string, root: string, options: { json?: boolean; strict?: boolean }) {
  const status = process.stderr.isTTY ? statusLine(process.stderr) : undefined
  const began = performance.now()
  const report = await checkData(name, {
    root,
    strict: options.strict,
    signal: stopOnSignals(),
    onProgress: (done, total) => {
      const seconds = (performance.now() - began) / 1000
      status?.show(countText(done, total, 'files', seconds))
    },
  }).finally(status?.clear)
  if (options.json) printJson(report)
  else print(formatDataReport(report))
  if (!report.ok) process.exitCode = exitCodes.failure
}

async function runShow(
  file: string | undefined,
  options: { split: Split; epoch: number; count: number; out: string },
) {
  const { split, epoch, count, out, ...flags } = options
  const config = await dataConfig(file, flags)
  const signal = stopOnSignals()
  const dataset = await openDataset({ ...config.data, split, signal })
  for (const message of dataset.warnings ?? []) printWarning({ type: 'warning', message })
  const shown = { split, epoch, count, signal, onEvent: printWarning }
  const { png } = await contactSheet(dataset, config, shown)
  await writeFile(out, png).catch((cause) => {
    const reason = systemReason(cause, 'Make its folder first.')
    throw new McLossError('E_IO', `mcloss: ${resolve(out)} cannot be written: ${reason}`, { cause })
  })
  print(resolve(out))
}

async function runPrepare(
  file: string | undefined,
  { verify = false, ...flags }: { verify?: boolean },
) {
  const config = await dataConfig(file, flags)
  const signal = stopOnSignals()
  const dataset = await openDataset({ ...config.data, signal })
  await withProgress(async (progress) => {
    for (const message of dataset.warnings ?? []) progress.show({ type: 'warning', message })
    const options = { signal, verify, onEvent: progress.show }
    const { bytes, files } = await prepareStores(dataset, config, options)
    print(`${sizeText(bytes)} decoded${verify ? ', every checksum right' : ''}`)
    for (const path of files) print(path)
  })
}

/** Of a file and flags, or of flags alone. */
async function dataConfig(file: string | undefined, flags: object): Promise<Config> {
  const input = file ? await loadConfigFile(file) : ({ ...unused, data: {} } as ConfigInput)
  return defineConfig(setFlags(input, flags as Record<string, string>))
}

/** The parts of a configuration that these commands have no use for. */
const unused = {
  model: { backbone: 'toy' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 1, epochs: 1, batchSize: 1 },
} as const
