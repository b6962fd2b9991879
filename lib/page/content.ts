// What a page shows: stated once for those who make it and for the scripts in the browser.

export interface Series {
  label: string
  /** Which run it is of: its colour. */
  run: number
  /** train, test, validation, average of the weights: its dashes, the same in all charts. */
  kind: number
  /** By the chart's epochs. */
  values: (number | null)[]
}

export interface Chart {
  id: string
  title: string
  unit: 'share' | 'plain'
  /** From 1, as a run prints them. */
  epochs: number[]
  series: Series[]
}

/** Of a run as the dashboard follows it. */
export type State = 'running' | 'stopping' | 'ended' | 'stopped' | 'failed'

export interface ShownRun {
  id: string
  name: string
  state: State
  epochs: number
  planned: number | null
  /** Figures of the newest epoch, and of the newest that was evaluated. */
  loss: number | null
  top1: number | null
  best: number | null
  maps: string | null
}

export interface LiveChart extends Chart {
  words: string
}

/** What the dashboard sends. */
export interface Snapshot {
  /** Runs that are there beyond those shown. */
  more: number
  runs: ShownRun[]
  charts: LiveChart[]
}
