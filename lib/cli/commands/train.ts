// mcloss train: a run with its progress, new or resumed.

import type { Command } from 'commander'
import { loadConfigFile } from '../../config/file.js'
import { type ConfigInput, defineConfig } from '../../config/index.js'
import { McLossError } from '../../errors.js'
import { resumedConfig } from '../../train/session.js'
import { train } from '../../train/train.js'
import { addConfigFlags, setFlags } from '../config-flags.js'
import { resultText } from '../reports/result.js'
import { print, printError, stopOnSignals, stoppedBy, withProgress } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument(
      '[config]',
      'configuration file (JSON); examples/recipes/ holds one per published row',
    )
    .option('--resume <path>', 'go on from a run folder or checkpoint')
    .action(runTrain)
  addConfigFlags(command)
}

async function runTrain(file: string | undefined, options: Record<string, string>) {
  const { resume, ...flags } = options
  const input: ConfigInput = file
    ? await loadConfigFile(file)
    : resume
      ? await resumedConfig(resume)
      : ({} as ConfigInput)
  const config = defineConfig(setFlags(input, flags))
  const run = train(config, { signal: stopOnSignals(), ...(resume && { resume }) })
  try {
    await withProgress(async (progress) => {
      for await (const event of run) progress.show(event)
    })
    print(resultText(await run.result, config.best.of))
  } catch (error) {
    const isAsked = error instanceof McLossError && error.code === 'E_ABORTED' && !stoppedBy()
    if (!isAsked) throw error
    printError(error.message) // RUN/stop is the other way to end a run, and no failure
  }
}
