// Where a run's events go: to whoever listens, and into its metrics.jsonl, one a line.

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { McLossError } from '../errors.js'
import type { RunEvent } from '../events.js'
import { systemReason } from '../files/system-errors.js'

export interface Journal {
  /** Progress is not written; what comes before `open` is written then. */
  emit(event: RunEvent): void
  /** @throws McLossError E_IO when RUN/metrics.jsonl cannot be opened; it is appended to. */
  open(runDir: string): Promise<void>
  /** Rejects with the first E_IO of a write. */
  close(): Promise<void>
}

export function journalOf(publish: (event: RunEvent) => void): Journal {
  let file: FileHandle | undefined
  let path = ''
  const early: string[] = []
  let written: Promise<unknown> = Promise.resolve()
  const failed = (cause: unknown): never => {
    throw new McLossError(
      'E_IO',
      `metrics: ${path} cannot be written: ${systemReason(cause)} ` +
        'out can name another folder.',
      { cause },
    )
  }
  const write = (line: string) => {
    written = written.then(() => file?.appendFile(line))
    written.catch(() => {}) // close() reports it
  }
  return {
    emit(event) {
      if (event.type !== 'progress' && event.type !== 'prepare') {
        const line = `${JSON.stringify(event)}\n`
        if (file) write(line)
        else early.push(line)
      }
      publish(event)
    },
    async open(runDir) {
      path = join(runDir, 'metrics.jsonl')
      file = await open(path, 'a').catch(failed)
      for (const line of early.splice(0)) write(line)
    },
    async close() {
      try {
        await written.catch(failed)
      } finally {
        await file?.close()
      }
    },
  }
}
