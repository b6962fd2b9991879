// The bridge between a run that never waits and a reader who may: events queue up until read,
// unread progress events collapse to the newest.

import type { RunEvent } from '../events.js'

export class EventQueue implements AsyncIterable<RunEvent> {
  readonly #unread: RunEvent[] = []
  #wake: (() => void) | undefined
  #ended = false
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

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent> {
    for (;;) {
      const event = this.#unread.shift()
      if (event) yield event
      else if (this.#error !== undefined) throw this.#error
      else if (this.#ended) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}
