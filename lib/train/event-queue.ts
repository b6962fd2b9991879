// The bridge between a run that never waits and a reader who may: events queue up until read,
// unread progress events collapse to the newest.

import { McLossError } from '../errors.js'
import type { RunEvent } from '../events.js'

export class EventQueue {
  readonly #unread: RunEvent[] = []
  #wake: (() => void) | undefined
  #ended = false
  #isRead = false
  #error: unknown

  push(event: RunEvent): void {
    const isProgress = event.type === 'progress' || event.type === 'prepare'
    if (isProgress && this.#unread.at(-1)?.type === event.type) this.#unread.pop()
    this.#unread.push(event)
    this.#wake?.()
  }

  end(error?: unknown): void {
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  /**
   * The unread events, to the end. One reader at a time: two would take them from each other.
   * `onFailure` is called before it throws what ended the run.
   *
   * @throws McLossError E_STATE while another reads; what ended the run.
   */
  async *read(onFailure: () => void): AsyncGenerator<RunEvent> {
    if (this.#isRead) {
      throw new McLossError(
        'E_STATE',
        'train: expected one reader of the events of a run, but another loop is reading them. Hand each ' +
          'event on from that loop, or leave it first.',
      )
    }
    this.#isRead = true
    try {
      for (;;) {
        const event = this.#unread.shift()
        if (event) {
          yield event
          continue
        }
        if (this.#error !== undefined) {
          onFailure()
          throw this.#error
        }
        if (this.#ended) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#isRead = false
    }
  }
}
