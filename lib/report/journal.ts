// The events of a run, from its metrics.jsonl.

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { EpochEvent, RunEvent, StartEvent, TestEvent } from '../events.js'
import { unlessMissing } from '../files/system-errors.js'

export interface Journal {
  /** Of the newest start. */
  start: StartEvent | undefined
  epochs: EpochEvent[]
  /** The one that `best` of the run names, from 0. */
  bestEpoch: number | undefined
  test: TestEvent | undefined
  warnings: string[]
  notes: string[]
}

/** What is read of an event; figures that are not finite are null there. */
const figures = z.looseObject({ loss: z.number().nullable() })
const event = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('start'), epochs: z.number(), bestPickedOn: z.string() }),
  z.looseObject({
    type: z.literal('epoch'),
    ...{ epoch: z.int().min(0), epochs: z.int(), lr: z.number().nullable(), train: figures },
    ...{ test: figures.optional(), validation: figures.optional(), ema: figures.optional() },
  }),
  z.looseObject({ type: z.literal('checkpoint'), kind: z.string(), epoch: z.int() }),
  z.looseObject({ type: z.literal('test'), epoch: z.int(), test: figures }),
  z.looseObject({ type: z.literal('warning'), message: z.string() }),
])
const others = z.looseObject({
  type: z.enum(['weights', 'class-weights', 'store', 'prepare', 'progress']),
})
const line = z.union([event, others])

/** Undefined where there is none. @throws McLossError E_IO */
export async function readJournal(path: string): Promise<Journal | undefined> {
  const what = `report: ${path} cannot be read`
  const text = await unlessMissing(readFile(path, 'utf8'), 'E_IO', what)
  if (text === undefined) return undefined
  const lines = text.split('\n').filter((one) => one !== '')
  const events = lines.map(eventIn).filter((found) => found !== undefined)
  const unread = lines.length - events.length
  const of = <T extends RunEvent['type']>(type: T) =>
    events.filter((found): found is Extract<RunEvent, { type: T }> => found.type === type)
  return {
    start: of('start').at(-1),
    epochs: of('epoch').reduce(withEpoch, []),
    bestEpoch: of('checkpoint').findLast(({ kind }) => kind === 'best')?.epoch,
    test: of('test').at(-1),
    warnings: [...new Set(of('warning').map(({ message }) => message))],
    notes:
      unread > 0
        ? [
            `${unread} of ${lines.length} lines of metrics.jsonl could not be read and are left out.`,
          ]
        : [],
  }
}

/** One that is trained again after a resume takes the place of the first and of those behind it. */
export function withEpoch(epochs: readonly EpochEvent[], event: EpochEvent): EpochEvent[] {
  return [...epochs.filter(({ epoch }) => epoch < event.epoch), event]
}

/** Of a line; undefined for one that is not as a run writes it. */
export function eventIn(text: string): RunEvent | undefined {
  try {
    return line.parse(JSON.parse(text)) as unknown as RunEvent
  } catch {
    return undefined
  }
}
