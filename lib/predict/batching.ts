// Items of many calls worked on in batches. A batch takes the items that were asked for first, whoever asked,
// so the batches of one call on its own do not depend on what finishes first.

import { setImmediate } from 'node:timers/promises'

/** What an item came to; an error ends its call and no other. */
export type Outcome<Result> = { value: Result } | { error: unknown }

/** The work on a batch: prepare runs beside the computation of others. */
export interface Stages<Item, Ready, Result> {
  /** isOver: whether nobody waits for the item any more. */
  prepare(items: Item[], isOver: (at: number) => boolean): Promise<Ready>
  /** An outcome for each item. */
  compute(ready: Ready): Promise<Outcome<Result>[]>
}

export interface Stop {
  signal: AbortSignal | undefined
  aborted(): Error
}

export interface Batching<Item, Result> {
  /** Results in the order of the items. An abort rejects with `aborted()` at once. */
  submit(items: readonly Item[], stop?: Stop): Promise<Result[]>
  /** Settles when nothing that was submitted is waiting or worked on. */
  idle(): Promise<void>
}

interface Call<Item, Result> {
  items: readonly Item[]
  results: Result[]
  taken: number
  done: number
  isOver: boolean
  resolve(results: Result[]): void
  reject(error: unknown): void
}

/**
 * @param most items in a batch
 * @param ahead full batches in work beside the one that is computed. One that is not full waits for items
 * until none is being prepared and at most one computed.
 */
export function batching<Item, Ready, Result>(
  most: number,
  ahead: number,
  { prepare, compute }: Stages<Item, Ready, Result>,
): Batching<Item, Result> {
  type Place = { call: Call<Item, Result>; at: number }
  let queue: Call<Item, Result>[] = []
  const running = new Set<Promise<void>>()
  const busy = { preparing: 0, computing: 0 }
  let pumped: Promise<void> | undefined

  /** Calls of one turn of the event loop go together, and a batch goes from stage to stage first. */
  const pumpSoon = () => {
    pumped ??= setImmediate().then(() => {
      pumped = undefined
      pump()
    })
  }

  function pump(): void {
    for (;;) {
      queue = queue.filter((call) => !call.isOver && call.taken < call.items.length)
      const waiting = queue.reduce((sum, { items, taken }) => sum + items.length - taken, 0)
      if (waiting === 0) return
      const { preparing, computing } = busy
      const mayBegin =
        waiting >= most ? preparing + computing <= ahead : preparing === 0 && computing <= 1
      if (!mayBegin) return
      const batch = run(take()).finally(() => running.delete(batch))
      running.add(batch)
    }
  }

  function take(): Place[] {
    const places: Place[] = []
    for (const call of queue) {
      while (places.length < most && call.taken < call.items.length) {
        places.push({ call, at: call.taken++ })
      }
    }
    return places
  }

  async function run(places: Place[]): Promise<void> {
    const items = places.map(({ call, at }) => call.items[at] as Item)
    const isOver = (at: number) => (places[at] as Place).call.isOver
    try {
      const ready = await counted('preparing', prepare(items, isOver))
      const outcomes = await counted('computing', compute(ready))
      for (const [at, place] of places.entries()) settle(place, outcomes[at] as Outcome<Result>)
    } catch (error) {
      for (const { call } of places) end(call, () => call.reject(error))
    }
  }

  async function counted<T>(stage: keyof typeof busy, work: Promise<T>): Promise<T> {
    busy[stage]++
    try {
      return await work
    } finally {
      busy[stage]--
      pumpSoon()
    }
  }

  function settle({ call, at }: Place, outcome: Outcome<Result>): void {
    if ('value' in outcome) {
      call.results[at] = outcome.value
      call.done++
      if (call.done === call.items.length) end(call, () => call.resolve(call.results))
    } else end(call, () => call.reject(outcome.error))
  }

  function end(call: Call<Item, Result>, how: () => void): void {
    if (!call.isOver) how()
    call.isOver = true
  }

  return {
    async submit(items, stop) {
      const signal = stop?.signal
      if (signal?.aborted) throw stop?.aborted()
      if (items.length === 0) return []
      const { promise, resolve, reject } = withResolvers<Result[]>()
      const call = { items, results: [], taken: 0, done: 0, isOver: false, resolve, reject }
      const abort = () => end(call, () => reject(stop?.aborted()))
      signal?.addEventListener('abort', abort, { once: true })
      queue.push(call)
      pumpSoon()
      return promise.finally(() => signal?.removeEventListener('abort', abort))
    },
    async idle() {
      while (pumped || running.size > 0) await Promise.all([pumped, ...running])
    },
  }
}

/** Promise.withResolvers, which Node 20 has not. */
function withResolvers<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
