// A long-lived child that is asked one thing at a time: a JSON line in, a JSON line back. Between
// two questions it is blocked on its pipe, so that only one side of a comparison computes.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class LineProcess {
  #child
  #lines
  #name

  constructor(name, command, args) {
    this.#name = name
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {}) // a dead child shows as the end of its lines
    const failed = new Promise((_, reject) => {
      this.#child.on('error', (cause) => reject(new Error(`${name}: ${cause.message}`)))
    })
    failed.catch(() => {})
    const lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#lines = { next: () => Promise.race([lines.next(), failed]) }
  }

  /** The next line the child prints by itself: its greeting. */
  async hear() {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`${this.#name}: ended without an answer; its message is above.`)
    const answer = JSON.parse(value)
    if (answer.error) throw new Error(`${this.#name}: ${answer.error}`)
    return answer
  }

  ask(command, request = {}) {
    this.#child.stdin.write(`${JSON.stringify({ command, ...request })}\n`)
    return this.hear()
  }

  close() {
    this.#child.stdin.end()
  }
}
