// All runs below a folder, looked at once per second. What is to be shown of them is one snapshot.

import { createHash } from 'node:crypto'
import type { EpochEvent } from '../events.js'
import type { Snapshot } from '../page/content.js'
import { chartsOf } from '../report/curves.js'
import { wordsOf } from '../report/sections/curves.js'
import { findRuns } from './find.js'
import { FollowedRun } from './run.js'

/** As many as colours can tell apart. */
const SHOWN = 8
/** Looks at the runs per search for new ones. */
const SEARCH_EVERY = 5

export class Watch {
  #runs = new Map<string, FollowedRun>()
  #all = 0
  #looks = 0
  #bytes = Buffer.from('null')

  constructor(readonly root: string) {}

  /** JSON of the Snapshot of the last look. */
  get snapshot(): Buffer {
    return this.#bytes
  }

  /** Of a snapshot; a path is never asked for. */
  run(id: string): FollowedRun | undefined {
    return this.#runs.get(id)
  }

  /** Returns whether there is another snapshot. */
  async look(): Promise<boolean> {
    const isSearched = this.#looks++ % SEARCH_EVERY === 0 && (await this.#search())
    const changes = await Promise.all([...this.#runs.values()].map((run) => run.look()))
    if (!isSearched && !changes.includes(true)) return false
    this.#bytes = Buffer.from(JSON.stringify(this.#made()))
    return true
  }

  /** Returns whether the runs are other ones. */
  async #search(): Promise<boolean> {
    const { runs, all } = await findRuns(this.root, SHOWN)
    const before = [...this.#runs.keys()].join()
    this.#runs = new Map(
      runs.map(({ dir, name }) => {
        const id = createHash('sha256').update(dir).digest('hex').slice(0, 16)
        return [id, this.#runs.get(id) ?? new FollowedRun(dir, name)]
      }),
    )
    const isOther = all !== this.#all || [...this.#runs.keys()].join() !== before
    this.#all = all
    return isOther || this.#looks === 1
  }

  #made(): Snapshot {
    const runs = [...this.#runs]
    return {
      more: this.#all - runs.length,
      runs: runs.map(([id, run]) => {
        const { name, state, epochs, planned = null, maps = null } = run
        if (maps !== null) run.shownMaps.add(maps)
        const accuracies = epochs.map(accuracyOf).filter((top1) => top1 !== null)
        return {
          ...{ id, name, state, epochs: (epochs.at(-1)?.epoch ?? -1) + 1, planned, maps },
          loss: epochs.at(-1)?.train.loss ?? null,
          top1: accuracies.at(-1) ?? null,
          best: accuracies.length > 0 ? Math.max(...accuracies) : null,
        }
      }),
      charts: chartsOf(runs.map(([, run]) => run)).map((chart) => ({
        ...chart,
        words: wordsOf(chart),
      })),
    }
  }
}

function accuracyOf({ test, validation }: EpochEvent): number | null {
  return (validation ?? test)?.top1 ?? null
}
