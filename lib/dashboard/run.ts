// One run as the dashboard follows it: its epochs, whether it goes on, its newest channel maps.

import { access, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EpochEvent, RunEvent, StartEvent } from '../events.js'
import { systemCodeOf } from '../files/system-errors.js'
import type { State } from '../page/content.js'
import { mapsAmong, mapsFolder } from '../records/map-files.js'
import { withEpoch } from '../report/journal.js'
import { isClaimed } from '../train/claim.js'
import { STOP } from '../train/stop-file.js'
import { Tail } from './tail.js'

export class FollowedRun {
  epochs: EpochEvent[] = []
  state: State = 'running'
  /** The number in the name of the newest RUN/maps/epoch-NNNN.png. */
  maps: string | undefined
  /** Those of `maps` that snapshots have shown: a page may ask for them when there are newer ones. */
  readonly shownMaps = new Set<string>()
  #start: StartEvent | undefined
  #last: RunEvent | undefined
  #isTested = false
  #tail: Tail

  constructor(
    readonly dir: string,
    readonly name: string,
  ) {
    this.#tail = new Tail(join(dir, 'metrics.jsonl'))
  }

  /** Of the configuration; undefined before the run has begun. */
  get planned(): number | undefined {
    return this.epochs.at(-1)?.epochs ?? this.#start?.epochs
  }

  /** Returns whether anything has changed. */
  async look(): Promise<boolean> {
    const before = `${this.state} ${this.maps}`
    const isHeld = await isClaimed(this.dir) // before the events: who has let go has written them all
    const { events, isNew } = await this.#tail.read()
    if (isNew) this.#begin()
    for (const event of events) this.#take(event)
    this.maps = await newestMaps(this.dir)
    this.state = isHeld ? await this.#runningState() : this.#endState()
    return isNew || events.length > 0 || `${this.state} ${this.maps}` !== before
  }

  /** Returns false for a run that does not go on. Throws what the disk says. */
  async stop(): Promise<boolean> {
    if (!(await isClaimed(this.dir))) return false
    await writeFile(join(this.dir, STOP), '', { flag: 'wx' }).catch((error) => {
      if (systemCodeOf(error) !== 'EEXIST') throw error // else somebody has asked already
    })
    return true
  }

  #begin(): void {
    this.epochs = []
    this.#start = undefined
    this.#last = undefined
    this.#isTested = false
  }

  #take(event: RunEvent): void {
    if (event.type === 'start') this.#start = event
    if (event.type === 'test') this.#isTested = true
    if (event.type !== 'warning') this.#last = event
    if (event.type !== 'epoch') return
    this.epochs = withEpoch(this.epochs, event)
  }

  async #runningState(): Promise<State> {
    return access(join(this.dir, STOP)).then(
      () => 'stopping',
      () => 'running',
    )
  }

  #endState(): State {
    const isAborted = this.#last?.type === 'checkpoint' && this.#last.kind === 'abort'
    if (isAborted) return 'stopped'
    const done = (this.epochs.at(-1)?.epoch ?? -1) + 1
    if (done === 0 || done < (this.planned ?? 0)) return 'failed'
    return this.#start?.bestPickedOn === 'validation' && !this.#isTested ? 'stopped' : 'ended'
  }
}

async function newestMaps(dir: string): Promise<string | undefined> {
  return mapsAmong(await readdir(mapsFolder(dir)).catch(() => [])).at(-1)
}
