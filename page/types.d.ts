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
