// The events of a metrics.jsonl as it grows. Whoever writes it knows nothing of this.

import { open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import type { RunEvent } from '../events.js'
import { eventIn } from '../report/journal.js'

const PIECE_BYTES = 1_000_000
/** A longer one is no line of a run. */
const LINE_CHARACTERS = 4_000_000

export class Tail {
  #offset = 0
  #file = ''
  #rest = ''
  #decoder = new StringDecoder('utf8')

  constructor(readonly path: string) {}

  /**
   * What has come since the last call; `isNew` if the file is another one or was cut, and the events
   * begin again. Nothing while it is not there or cannot be read.
   */
  async read(): Promise<{ events: RunEvent[]; isNew: boolean }> {
    const file = await open(this.path, 'r').catch(() => undefined)
    if (!file) return { events: [], isNew: false }
    try {
      const { ino, dev, size } = await file.stat()
      const isNew = this.#file !== `${dev} ${ino}` || size < this.#offset
      if (isNew) this.#begin(`${dev} ${ino}`)
      const events: RunEvent[] = []
      const bytes = Buffer.alloc(Math.min(PIECE_BYTES, size - this.#offset))
      while (this.#offset < size) {
        const { bytesRead } = await file.read(bytes, 0, bytes.length, this.#offset)
        if (bytesRead === 0) break
        this.#offset += bytesRead
        events.push(...this.#eventsOf(this.#decoder.write(bytes.subarray(0, bytesRead))))
      }
      return { events, isNew }
    } catch {
      return { events: [], isNew: false } // a disk that fails now is asked again
    } finally {
      await file.close()
    }
  }

  #begin(file: string): void {
    this.#file = file
    this.#offset = 0
    this.#rest = ''
    this.#decoder = new StringDecoder('utf8')
  }

  /** A line counts once its end is there. */
  #eventsOf(text: string): RunEvent[] {
    const lines = (this.#rest + text).split('\n')
    const rest = lines.pop() ?? ''
    this.#rest = rest.length > LINE_CHARACTERS ? '' : rest
    return lines.map(eventIn).filter((event) => event !== undefined)
  }
}
