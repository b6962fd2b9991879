// RUN/tensorboard/: the figures of a run as TensorBoard's curves, an event file for each start of it.

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { headRecords, scalarsRecord } from './event-file.js'
import { figuresOf } from './figures.js'
import { appendTo, orNotWritten } from './files.js'

/** Numbers that are no curves: where figures belong, and how many they are of. */
const PLACES = /(^|\/)(epochs?|step|stepInEpoch|stepsPerEpoch|etaSeconds|n|classes)$/

/** Several reports a second are written together. */
const EVERY_MS = 1000

export class TensorBoard {
  readonly #path: string
  #unwritten: Buffer[] = []
  #writtenAt = performance.now()

  private constructor(path: string) {
    this.#path = path
  }

  /** Readers forget what earlier starts of the run wrote at `step` and later. */
  static async open(folder: string, step: number): Promise<TensorBoard> {
    await orNotWritten(folder, () => mkdir(folder, { recursive: true }))
    const now = Date.now() / 1000
    const path = join(folder, nextName(await orNotWritten(folder, () => readdir(folder)), now))
    await appendTo(path, headRecords(now, step))
    return new TensorBoard(path)
  }

  /** `prefix` heads the names. */
  async add(step: number, event: object, prefix = ''): Promise<void> {
    const values = figuresOf(event, '/')
      .filter(([name]) => !PLACES.test(name))
      .map(([name, value]) => [`${prefix}${name}`, value] as const)
    this.#unwritten.push(scalarsRecord({ wallTime: Date.now() / 1000, step, values }))
    if (performance.now() - this.#writtenAt > EVERY_MS) await this.flush()
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#unwritten)
    this.#unwritten = []
    this.#writtenAt = performance.now()
    if (bytes.length > 0) await appendTo(this.#path, bytes)
  }
}

/** Readers take files by name: after all that are there, whatever the clock says. */
function nextName(names: string[], now: number): string {
  const seconds = names.map((name) => Number(/^events\.out\.tfevents\.(\d+)/.exec(name)?.[1] ?? 0))
  const next = Math.max(Math.floor(now), ...seconds.map((second) => second + 1))
  return `events.out.tfevents.${String(next).padStart(10, '0')}.mcloss`
}
