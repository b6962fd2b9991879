// mcloss demo: the drawn birds, two losses, a table, a report.

import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { runDemo } from '../../demo.js'
import { makeReport } from '../../report/index.js'
import { openCommand } from '../open-command.js'
import { positiveInteger } from '../options.js'
import { formatDemo } from '../reports/demo.js'
import { print, stopOnSignals, withProgress } from '../terminal.js'

export function define(command: Command): void {
  command
    .option('--out <folder>', 'where the images and run folders go', 'runs/demo')
    .option('--seed <n>', 'seed of the runs', Number, 0)
    .option('--threads <n>', 'threads', positiveInteger)
    .option('--epochs <n>', 'fewer epochs for a quick look', positiveInteger)
    .action(runDemoCommand)
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
  print('One seed decides nothing: docs/results/when-mc-helps.md compares the two over five.')
  print('')
  for (const { loss, runDir } of rows) print(`${loss}  ${runDir}`)
  const runs = rows.map(({ runDir }) => runDir)
  const { path } = await makeReport({ runs, out: join(out, 'report.html') })
  print('')
  print(`report  ${path}`)
  print(`open    ${openCommand(path)}`)
}
