// How a run ends for those who look: its result, and the loop over its events. Either may be asked
// first, long after the end. A failure that neither has told anybody, once the result can no longer be
// asked or the process has nothing left to do, is an unhandled rejection.

interface End {
  isSeen: boolean
  failure?: { error: unknown }
}

export interface Outcome<T> {
  /** Settles as `work` does; that it rejects is not yet an unhandled rejection. */
  result: Promise<T>
  /** The failure was told by another way. */
  see(): void
}

/** Whoever awaits it sees the end. */
class Result<T> extends Promise<T> {
  /** What `then` makes is an ordinary promise, whose rejection Node reports as any other. */
  static override get [Symbol.species]() {
    return Promise
  }

  see: () => void = () => {}

  // biome-ignore lint/suspicious/noThenProperty: the method that every await calls
  override then<A = T, B = never>(
    onDone?: ((value: T) => A | PromiseLike<A>) | null,
    onFailure?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.see()
    return super.then(onDone, onFailure)
  }
}

const unseen = new Set<End>()
process.on('beforeExit', () => {
  for (const end of unseen) raise(end)
})
/** Of results that nobody holds. */
const dropped = new FinalizationRegistry<End>(raise)

/** As Node does with a rejection that nobody handles. */
function raise(end: End): void {
  unseen.delete(end)
  if (end.failure && !end.isSeen) Promise.reject(end.failure.error)
}

export function outcomeOf<T>(work: Promise<T>): Outcome<T> {
  const end: End = { isSeen: false }
  const see = () => {
    end.isSeen = true
    unseen.delete(end)
  }
  work.catch((error) => {
    end.failure = { error }
    if (!end.isSeen) unseen.add(end)
  })
  const result = new Result<T>((resolve, reject) => work.then(resolve, reject))
  result.catch(() => {})
  result.see = see
  dropped.register(result, end)
  return { result, see }
}
