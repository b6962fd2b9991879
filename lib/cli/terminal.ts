// The terminal's side of the commands: exit codes, signals, printing.

import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { WarningEvent } from '../events.js'
import { systemReason } from '../files/system-errors.js'
import { plainLines } from './plain.js'
import { createProgress, type Progress } from './progress.js'

export const exitCodes = { failure: 1, usage: 2, SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

// Node undoes what nohup has set. A process without a terminal can lose none, so a hang-up does not
// end it.
const hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))
if (!hasTerminal) process.on('SIGHUP', () => {})

type Signal = 'SIGHUP' | 'SIGINT' | 'SIGTERM'
export const signals: readonly Signal[] = [
  ...(hasTerminal ? ['SIGHUP' as const] : []),
  'SIGINT',
  'SIGTERM',
]
let stop: Signal | undefined

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
    stop = signal as Signal
    controller.abort()
    setTimeout(() => {
      for (const again of signals) process.off(again, ask)
    }, 1000).unref()
  }
  for (const signal of signals) process.on(signal, ask)
  return controller.signal
}

// No output that fails ends a run. What a reader that has gone (a closed pipe or terminal) would have
// read is dropped; any other loss, as of a log on a full disk, is told at the end.
let loss: Error | undefined
for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error: NodeJS.ErrnoException) => {
    const isGone = error.code === 'EPIPE' || (error.code === 'EIO' && output.isTTY)
    if (!isGone) loss ??= error
  })
}

process.on('exit', () => {
  if (!loss) return
  process.exitCode ||= exitCodes.failure
  const text = `mcloss: not all that was to be printed could be written: ${systemReason(loss)}\n`
  try {
    writeSync(2, text)
  } catch {} // it is stderr that fails
})

export function print(text: string): void {
  process.stdout.write(`${plainLines(text)}\n`)
}
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Beside a result that another program may read. */
export function printError(text: string): void {
  process.stderr.write(`${plainLines(text)}\n`)
}
export function printWarning({ message }: WarningEvent): void {
  printError(`warning: ${message}`)
}

export async function withProgress<T>(use: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = createProgress(process.stdout, process.stdout.isTTY)
  try {
    return await use(progress)
  } finally {
    progress.close()
  }
}
