// mcloss weights: which published weights there are, how to get them, what a file of them holds.

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { convertWeights } from '../../weights/convert.js'
import { type FetchOptions, fetchWeights } from '../../weights/fetch.js'
import { inspectWeights } from '../../weights/inspect.js'
import { weightRecords } from '../../weights/records.js'
import { statusLine } from '../progress.js'
import {
  fetchProgress,
  fetchText,
  formatRecords,
  formatWeights,
  recordJson,
} from '../reports/weights.js'
import { print, printJson, stopOnSignals } from '../terminal.js'

const files = '.pth, .pt, .bin, .ckpt or .safetensors'
const keyHelp = 'of a checkpoint with several sets of weights: which one'

export function define(weights: Command): void {
  weights
    .command('list')
    .option('--json', 'print JSON')
    .description('the published weights that fetch knows by name')
    .action(runList)

  weights
    .command('fetch')
    .argument('<source>', 'a name of the list, or a URL')
    .option('--sha256 <hex>', 'of the file; a URL needs it')
    .option('--to <folder>', 'default: MCLOSS_WEIGHTS_DIR, else mcloss/weights in the user cache')
    .option('--from <file>', 'the file, fetched by hand: it is checked and copied')
    .option('--offline', 'make no request: only what is here already')
    .description('get a file of weights, checked by size and SHA-256')
    .action(runFetch)

  weights
    .command('inspect')
    .argument('<file>', files)
    .option('--json', 'print JSON')
    .option('--key <key>', keyHelp)
    .description('format, tensors and fitting backbones of a file')
    .action(runInspect)

  weights
    .command('convert')
    .argument('<file>', files)
    .argument('<out>', 'the .safetensors file to write')
    .option('--key <key>', keyHelp)
    .description('write float32 safetensors, names without wrapper and prefix')
    .action(runConvert)
}

function runList({ json }: { json?: boolean }): void {
  if (json) printJson(weightRecords.map(recordJson))
  else print(formatRecords(weightRecords))
}

async function runFetch(
  source: string,
  options: Pick<FetchOptions, 'sha256' | 'to' | 'from' | 'offline'>,
): Promise<void> {
  const status = process.stderr.isTTY ? statusLine(process.stderr) : undefined
  const { path, bytes, sha256, origin } = await fetchWeights(source, {
    ...options,
    signal: stopOnSignals(),
    onEvent: (event) => {
      if (event.type === 'progress') return status?.show(fetchProgress(event))
      const text = fetchText(event)
      if (text) print(text)
    },
  }).finally(status?.clear)
  print(`${origin}: ${bytes} bytes, SHA-256 ${sha256}`)
  print(path)
}

async function runInspect(file: string, { json, key }: { json?: boolean; key?: string }) {
  const report = await inspectWeights(file, { key })
  if (json) printJson(report)
  else print(formatWeights(report))
}

async function runConvert(file: string, out: string, { key }: { key?: string }) {
  const options = { key, signal: stopOnSignals() }
  const { tensors, bytes, sha256, changes } = await convertWeights(file, out, options)
  for (const change of changes) print(change)
  print(`${tensors} tensors, ${bytes} bytes, SHA-256 ${sha256}`)
  print(resolve(out))
}
