// mcloss report: one HTML file of a run, or of several side by side.

import type { Command } from 'commander'
import { sizeText } from '../../machine.js'
import { makeReport } from '../../report/index.js'
import { openCommand } from '../open-command.js'
import { print, printError } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('<run...>', 'run folders, or the folder of one comparison')
    .option(
      '--out <file>',
      'the file; an earlier report is replaced, another file is not. Default: report.html in the one ' +
        'folder, for several runs in the current folder',
    )
    .action(runReport)
}

async function runReport(runs: string[], { out }: { out?: string }) {
  const { path, bytes, replaced, notes } = await makeReport({ runs, ...(out && { out }) })
  for (const note of notes) printError(`missing: ${note}`)
  print(`report  ${path} (${sizeText(bytes)}${replaced ? '; the earlier one is replaced' : ''})`)
  print(`open    ${openCommand(path)}`)
}
