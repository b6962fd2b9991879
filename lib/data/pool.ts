// Work on many items, a bounded number at a time. Who finishes first decides nothing here.

/** Lets `limit` in at a time, in the order they ask; who has entered must leave. */
export function gate(limit: number) {
  const waiting: (() => void)[] = []
  let free = limit
  return {
    async enter(): Promise<void> {
      if (free > 0) free--
      else await new Promise<void>((admit) => waiting.push(admit))
    },
    leave(): void {
      const admit = waiting.shift()
      if (admit) admit()
      else free++
    },
  }
}

export type Gate = ReturnType<typeof gate>

/**
 * Works on the items, begun in their order, at most `limit` at a time. After an error or an abort
 * none is begun, and those that run are waited for, so that nothing goes on behind its caller's back.
 *
 * Rejects with the first error; else returns whether every item was worked on: false after an abort.
 */
export async function forEachOf<T>(
  items: Iterable<T>,
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T) => Promise<void>,
): Promise<boolean> {
  const { enter, leave } = gate(limit)
  const errors: unknown[] = []
  const begun: Promise<void>[] = []
  let isWhole = true
  for (const item of items) {
    await enter()
    isWhole = !signal?.aborted
    if (!isWhole || errors.length > 0) break
    const failed = (error: unknown) => void errors.push(error)
    begun.push(work(item).catch(failed).finally(leave))
  }
  await Promise.all(begun)
  if (errors.length > 0) throw errors[0]
  return isWhole
}
