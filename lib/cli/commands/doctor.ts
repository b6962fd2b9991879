// mcloss doctor: what is found on this machine.

import type { Command } from 'commander'
import { doctor } from '../../doctor.js'
import { formatDoctor } from '../reports/doctor.js'
import { exitCodes, print, printJson } from '../terminal.js'

export function define(command: Command): void {
  command.option('--json', 'print JSON').action(runDoctor)
}

async function runDoctor(options: { json?: boolean }) {
  const report = await doctor()
  if (options.json) printJson(report)
  else print(formatDoctor(report))
  if (!report.ok) process.exitCode = exitCodes.failure
}
