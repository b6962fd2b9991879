// mcloss dashboard: a live page of the runs below a folder, until Ctrl-C.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import type { Command } from 'commander'
import { startDashboard } from '../../dashboard/index.js'
import { McLossError } from '../../errors.js'
import { wholeNumber } from '../options.js'
import { plain } from '../plain.js'
import { print, printError, stopOnSignals } from '../terminal.js'

export function define(command: Command): void {
  command
    .argument('[dir]', 'the folder that runs are written to', 'runs')
    .option('--port <n>', 'of 127.0.0.1. Default: any that is free', portNumber)
    .option('--no-open', 'print the address, but open no browser')
    .action(runDashboard)
}

async function runDashboard(dir: string, { port = 0, open }: { port?: number; open: boolean }) {
  const signal = stopOnSignals()
  const dashboard = await startDashboard({ dir, port })
  print(`dashboard  ${plain(dashboard.address)}`)
  print(
    'Whoever has this address sees the runs and can stop them. Ctrl-C ends the page, not the runs.',
  )
  if (open) openBrowser(dashboard.address)
  // A training beside it comes first. The browser, just started, keeps its own priority.
  setPriority(constants.priority.PRIORITY_LOW)
  if (!signal.aborted) await once(signal, 'abort')
  await dashboard.close()
}

/** Where there is a desktop. */
function openBrowser(address: string): void {
  if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return
  const child = spawn('xdg-open', [address], { stdio: 'ignore', detached: true })
  child.on('error', () => printError('No browser could be opened (xdg-open): open the address.'))
  child.unref()
}

function portNumber(text: string): number {
  const port = wholeNumber(text)
  if (port <= 65_535) return port
  throw new McLossError('E_USAGE', `mcloss: expected a port up to 65535 but received '${text}'.`)
}
