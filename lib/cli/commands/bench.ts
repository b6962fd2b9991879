// mcloss bench: how fast a configuration trains here, and which settings would be faster.

import type { Command } from 'commander'
import { type BenchOptions, bench } from '../../bench/index.js'
import { loadConfigFile } from '../../config/file.js'
import { type Config, type ConfigInput, defineConfig } from '../../config/index.js'
import type { RunEvent } from '../../events.js'
import { addConfigFlags, setFlags } from '../config-flags.js'
import { positiveInteger } from '../options.js'
import { changeText, formatBench } from '../reports/bench.js'
import { print, printJson, printWarning, stopOnSignals, withProgress } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('[config]', 'configuration file (JSON)')
    .option('--rounds <n>', 'turns of every setting', positiveInteger, 5)
    .option('--steps <n>', 'timed steps a turn; default: about a second of them', positiveInteger)
    .option('--classes <n>', 'classes, where the name of the data does not tell', positiveInteger)
    .option('--no-alternatives', 'this configuration alone')
    .option('--with-data', "also train on the configuration's own data")
    .option('--profile', 'also show which operators a step spends its time in')
    .option('--json', 'print JSON')
    .action(runBench)
  addConfigFlags(command)
}

type Flags = Pick<
  BenchOptions,
  'rounds' | 'steps' | 'classes' | 'alternatives' | 'withData' | 'profile'
> & { json?: boolean }

async function runBench(file: string | undefined, options: Flags) {
  const { rounds, steps, classes, alternatives, withData, profile, json, ...flags } = options
  const config = await benchConfig(file, flags)
  const measure = { rounds, steps, classes, alternatives, withData, profile }
  const signal = stopOnSignals()
  if (json) {
    const onEvent = (event: RunEvent) => event.type === 'warning' && printWarning(event)
    return printJson(await bench(config, { ...measure, signal, onEvent }))
  }
  const report = await withProgress((progress) =>
    bench(config, {
      ...measure,
      signal,
      onEvent: progress.show,
      onTurn: ({ round, rounds, setting, imagesPerSecond }) =>
        print(
          `round ${round + 1}/${rounds}  ${imagesPerSecond.toFixed(2)} images/s  ${changeText(setting)}`,
        ),
    }),
  )
  print('')
  print(formatBench(report))
}

/** Of a file and flags, or of flags alone: then only model.backbone has no default. */
async function benchConfig(file: string | undefined, flags: object): Promise<Config> {
  const input = file
    ? await loadConfigFile(file)
    : ({
        data: {},
        model: {},
        loss: { name: 'cross-entropy' },
        optim: { lr: 0.01, epochs: 1, batchSize: 16 },
      } as unknown as ConfigInput)
  const set = setFlags(input, flags as Record<string, string>)
  return defineConfig(file ? set : { ...set, data: { name: 'own', ...set.data } })
}
