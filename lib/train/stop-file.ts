// RUN/stop: whoever may write to a run folder can ask its run to save and end. A run looks for the file
// four times per second and ends at the next step, as it does after an abort.

import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Of the run folder. */
export const STOP = 'stop'
const LOOK_MS = 250

export class StopFile {
  #asked = new AbortController()
  #path = ''
  #timer: NodeJS.Timeout | undefined

  /** Aborted once the file is there, or by `given`. */
  signalWith(given: AbortSignal | undefined): AbortSignal {
    return given ? AbortSignal.any([given, this.#asked.signal]) : this.#asked.signal
  }

  /** Begins to look, for a run that has claimed its folder: a file of an earlier one is removed. */
  async watch(runDir: string): Promise<void> {
    this.#path = join(runDir, STOP)
    await this.#remove()
    this.#timer = setInterval(() => {
      access(this.#path).then(
        () => this.#asked.abort(),
        () => {}, // nobody has asked
      )
    }, LOOK_MS).unref()
  }

  /** Also takes the file away. */
  async close(): Promise<void> {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    await this.#remove()
  }

  /** One that cannot be removed stops the next run as well, which says so. */
  #remove(): Promise<void> {
    return rm(this.#path, { force: true }).catch(() => {})
  }
}
