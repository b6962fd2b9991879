// Browsers that listen to server-sent events. Each gets the newest snapshot once it has taken the one before,
// so none holds more than one, and one that takes nothing for a while is dropped.

import type { ServerResponse } from 'node:http'

/** Keeps a connection, and tells a browser that has lost it. */
const BEAT_MS = 15_000
const LIMIT = 64

interface Client {
  response: ServerResponse
  /** When it was last given something that it has not taken yet. */
  waitsSince: number | undefined
  isBehind: boolean
  beatAt: number
}

export class Clients {
  #clients = new Set<Client>()

  constructor(readonly stalledMs: number) {}

  get size(): number {
    return this.#clients.size
  }

  get isFull(): boolean {
    return this.#clients.size >= LIMIT
  }

  /** `response` has its head, and the connection stays open from here on. */
  add(response: ServerResponse, snapshot: () => Buffer): void {
    const client: Client = { response, waitsSince: undefined, isBehind: false, beatAt: 0 }
    this.#clients.add(client)
    response.on('drain', () => {
      client.waitsSince = undefined
      if (client.isBehind) this.#give(client, snapshot())
    })
    response.on('error', () => this.#clients.delete(client))
    response.on('close', () => this.#clients.delete(client))
    this.#give(client, snapshot())
  }

  /** To all that are not still busy with the one before. */
  send(snapshot: Buffer): void {
    for (const client of this.#clients) this.#give(client, snapshot)
  }

  /** Drops the ones that stand still, and beats for the others. */
  tend(): void {
    const now = performance.now()
    for (const client of this.#clients) {
      const { response, waitsSince, beatAt } = client
      if (waitsSince !== undefined) {
        if (now - waitsSince > this.stalledMs) response.destroy()
      } else if (now - beatAt > BEAT_MS) this.#write(client, ': here\n\n')
    }
  }

  close(): void {
    for (const { response } of this.#clients) response.destroy()
  }

  #give(client: Client, snapshot: Buffer): void {
    client.isBehind = client.waitsSince !== undefined
    if (!client.isBehind) {
      this.#write(client, Buffer.concat([DATA, snapshot, END]))
    }
  }

  #write(client: Client, what: string | Buffer): void {
    client.beatAt = performance.now()
    if (!client.response.write(what)) client.waitsSince = client.beatAt
  }
}

const DATA = Buffer.from('data: ')
const END = Buffer.from('\n\n')
