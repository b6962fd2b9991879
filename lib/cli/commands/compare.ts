// mcloss compare: configurations over seeds, a table with paired differences.

import { join } from 'node:path'
import type { Command } from 'commander'
import { type CompareEvent, compare } from '../../compare/index.js'
import { plan } from '../../compare/plan.js'
import { readStudy, type StudyInput } from '../../compare/study.js'
import { parsedValue, splitValues } from '../../compare/values.js'
import { McLossError } from '../../errors.js'
import { replaceRecord } from '../../records/files.js'
import { positiveInteger } from '../options.js'
import { compareCsv, compareMarkdown, eventText, planText } from '../reports/compare.js'
import { exitCodes, print, printError, stopOnSignals } from '../terminal.js'

type Lists = Record<string, unknown[]>

export function define(command: Command): void {
  command
    .argument('<file>', 'configuration file or study file (JSON)')
    .option('--axis <key=values>', 'a key with its values, comma between them; repeatable', axis)
    .option('--seeds <seeds>', 'first..last, or a comma list; default 0..4')
    .option('--baseline <key=value>', 'what the others are compared to; also label=NAME')
    .option('--tune <n>', 'trials of each entry on validation images', positiveInteger)
    .option('--jobs <n>', 'runs at a time; no figure depends on it', positiveInteger, 1)
    .option('--plan', 'print the runs and their processor time, and run none')
    .requiredOption('--out <folder>', 'where finished runs, tables and run folders go')
    .action(runCompare)
}

interface Flags {
  axis?: Lists
  seeds?: string
  baseline?: string
  tune?: number
  jobs: number
  plan?: boolean
  out: string
}

async function runCompare(file: string, { axis: axes = {}, baseline, jobs, out, ...flags }: Flags) {
  const { plan: plansOnly, ...given } = flags
  const study = await readStudy(file, {
    ...given,
    axes: axes as NonNullable<StudyInput['axes']>,
    ...(baseline && { baseline: oneValue(baseline) as NonNullable<StudyInput['baseline']> }),
  })
  const signal = stopOnSignals()
  if (plansOnly) {
    const onEntry = (label: string) => printError(`timing ${label}`)
    return print(planText(await plan(study, { out, signal, onEntry })))
  }
  const onEvent = (event: CompareEvent) => {
    if (event.type === 'notice') printError(event.message)
    else print(eventText(event))
  }
  const report = await compare(study, { out, jobs, signal, onEvent })
  const markdown = compareMarkdown(report)
  await replaceRecord(join(out, `${report.name}.md`), markdown)
  await replaceRecord(join(out, `${report.name}.csv`), compareCsv(report))
  await replaceRecord(join(out, `${report.name}.json`), `${JSON.stringify(report, null, 2)}\n`)
  print('')
  print(markdown.trimEnd())
  if (report.failed.length > 0) process.exitCode = exitCodes.failure
}

function axis(text: string, before: Lists = {}): Lists {
  const [key, values] = halves(text)
  return { ...before, [key]: splitValues(values).map((value) => parsedValue(key, value)) }
}

function oneValue(text: string): Record<string, unknown> {
  const [key, value] = halves(text)
  return { [key]: key === 'label' ? value : parsedValue(key, value) }
}

function halves(text: string): [key: string, value: string] {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
  throw new McLossError(
    'E_USAGE',
    `mcloss: expected KEY=VALUE but received '${text}'. Give a key of the configuration, such as ` +
      'optim.lr=0.05.',
  )
}
