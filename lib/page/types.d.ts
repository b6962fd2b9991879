// What the scripts of a page are given: uPlot by the script before them, and the content of the page.

/// <reference types="uplot" />

type Series = import('./content.js').Series
type Chart = import('./content.js').Chart
type ShownRun = import('./content.js').ShownRun
type LiveChart = import('./content.js').LiveChart
type Snapshot = import('./content.js').Snapshot

interface PageData {
  runs: number
  charts: Chart[]
}

interface RunCard {
  root: HTMLElement
  show(run: ShownRun, at: number, count: number): void
}
