// mcloss setup: hands its arguments to the script that builds the add-on.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Command } from 'commander'
import { packageRoot } from '../../machine.js'
import { exitCodes, signals } from '../terminal.js'

export function define(command: Command): void {
  command.argument('[options...]').allowUnknownOption().helpOption(false).action(runSetup)
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
