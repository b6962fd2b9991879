// The terminal's side of the commands: exit codes, signals, printing.

import type { WarningEvent } from '../events.js'
import { createProgress, type Progress } from './progress.js'

export const exitCodes = { failure: 1, usage: 2, SIGINT: 130, SIGTERM: 143 } as const

export const signals = ['SIGINT', 'SIGTERM'] as const
let stop: (typeof signals)[number] | undefined

/** The signal that has asked to stop, if one has. */
export const stoppedBy = () => stop

/**
 * The first signal asks a run to save and stop; one that comes more than a second later ends the
 * process at once. Until then they are the same one: npx and timeout pass on what the terminal's
 * process group has got already.
 */
export function stopOnSignals(): AbortSignal {
  const controller = new AbortController()
  const ask = (signal: NodeJS.Signals) => {
    if (stop) return
    stop = signal as (typeof signals)[number]
    controller.abort()
    setTimeout(() => {
      for (const again of signals) process.off(again, ask)
    }, 1000).unref()
  }
  for (const signal of signals) process.on(signal, ask)
  return controller.signal
}

// A reader that has gone (a closed pipe) ends no run; what it would have read is dropped.
for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** Beside a result that another program may read. */
export function printWarning({ message }: WarningEvent): void {
  process.stderr.write(`warning: ${message}\n`)
}

export async function withProgress<T>(use: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = createProgress(process.stdout, process.stdout.isTTY)
  try {
    return await use(progress)
  } finally {
    progress.close()
  }
}
