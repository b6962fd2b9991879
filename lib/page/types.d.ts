// What the scripts of a page are given: uPlot by the script before them, charts as lib/report/curves.ts
// makes them.

/// <reference types="uplot" />

interface Series {
  label: string
  run: number
  kind: number
  values: (number | null)[]
}

interface Chart {
  id: string
  title: string
  unit: 'share' | 'plain'
  epochs: number[]
  series: Series[]
}

interface PageData {
  runs: number
  charts: Chart[]
}

// The dashboard's, as lib/dashboard/watch.ts makes them.

interface ShownRun {
  id: string
  name: string
  state: 'running' | 'stopping' | 'ended' | 'stopped' | 'failed'
  epochs: number
  planned: number | null
  loss: number | null
  top1: number | null
  best: number | null
  maps: string | null
}

interface LiveChart extends Chart {
  words: string
}

interface Snapshot {
  more: number
  runs: ShownRun[]
  charts: LiveChart[]
}

interface RunCard {
  root: HTMLElement
  show(run: ShownRun, at: number, count: number): void
}
