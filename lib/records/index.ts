// The records of a run beside metrics.jsonl: what it was computed with, and its figures for spreadsheets
// and TensorBoard. They follow the run's events and change nothing of it; the process that has the
// run folder writes them.

import { join } from 'node:path'
import type { RunEvent } from '../events.js'
import { type Beginning, recordEnvironment } from './environment.js'
import { MetricsCsv } from './metrics-csv.js'
import { TensorBoard } from './tensorboard.js'

export interface RecordsBeginning extends Beginning {
  /** The first step whose figures are still to come: those of this step and later are of no use. */
  firstStep: number
  stepsPerEpoch: number
}

export interface Records {
  /** Never waits for the disk. */
  see(event: RunEvent): void
  /** @throws McLossError E_IO when they cannot be written. */
  open(runDir: string, beginning: RecordsBeginning): Promise<void>
  /** Rejects with the first E_IO of a write. */
  close(): Promise<void>
}

export function recordsOf(options: { tensorboard: boolean }): Records {
  let csv: MetricsCsv | undefined
  let curves: TensorBoard | undefined
  let stepsPerEpoch = 0
  let written: Promise<unknown> = Promise.resolve()
  const write = (work: () => Promise<void> | undefined) => {
    written = written.then(work)
    written.catch(() => {}) // close() reports it
  }
  return {
    see(event) {
      if (event.type === 'epoch') {
        write(() => csv?.add(event))
        write(() => curves?.add(event.step, event))
        write(() => curves?.flush())
      }
      // The last report of an epoch says less than its epoch event at the same step.
      if (event.type === 'progress' && event.stepInEpoch < event.stepsPerEpoch)
        write(() => curves?.add(event.step, event, 'progress/'))
      if (event.type === 'test')
        write(() => curves?.add((event.epoch + 1) * stepsPerEpoch, { test: event.test }))
    },
    async open(runDir, beginning) {
      stepsPerEpoch = beginning.stepsPerEpoch
      await recordEnvironment(join(runDir, 'environment.json'), beginning)
      const journal = join(runDir, 'metrics.jsonl')
      csv = await MetricsCsv.open(join(runDir, 'metrics.csv'), journal, beginning.epoch)
      if (options.tensorboard)
        curves = await TensorBoard.open(join(runDir, 'tensorboard'), beginning.firstStep)
    },
    close() {
      return written.then(() => curves?.flush())
    },
  }
}
