// What the runs were told and computed with.

import { type Html, html } from '../../html.js'
import type { RunRecords, Settings } from '../run.js'
import { runHtml, type Shown, tableHtml } from './parts.js'

/** The keys that differ between the runs, and each configuration whole. */
export function configHtml(runs: readonly RunRecords[], shown: Shown): Html {
  const known = runs.flatMap(({ config }, at) => (config ? [{ at, config }] : []))
  const flat = known.map(({ config }) => new Map(leaves(config)))
  const keys = [...new Set(flat.flatMap((one) => [...one.keys()]))]
  const differing = keys.filter((key) => new Set(flat.map((one) => one.get(key))).size > 1)
  const columns = [{ head: 'key' }, ...known.map(({ at }) => ({ head: runHtml(shown, at) }))]
  const rows = differing.map((key) => [
    { content: key },
    ...flat.map((one) => ({ content: one.get(key) ?? '–' })),
  ])
  const difference =
    known.length < 2
      ? null
      : rows.length > 0
        ? tableHtml('Keys that differ', columns, rows)
        : html`<p>The configurations are the same.</p>`
  const whole = known.map(
    ({ at, config }) => html`<details><summary>All of ${runHtml(shown, at)}</summary>
<pre tabindex="0">${JSON.stringify(config, null, 2)}</pre></details>`,
  )
  return html`${difference}${whole}`
}

/** Each value with its path, 'optim.lr'. */
function leaves(settings: object, prefix = ''): [string, string][] {
  return Object.entries(settings).flatMap(([key, value]): [string, string][] =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? leaves(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, typeof value === 'string' ? value : JSON.stringify(value)]],
  )
}

/** A row for each start of a run. */
export function environmentHtml(runs: readonly RunRecords[], shown: Shown): Html {
  const starts = runs.flatMap(({ environment }, at) => environment.map((entry) => ({ at, entry })))
  if (starts.length === 0)
    return html`<p>No run has a record of its machine (environment.json).</p>`
  const keys = [...new Set(starts.flatMap(({ entry }) => Object.keys(entry)))]
  const used = keys.filter((key) => starts.some(({ entry }) => entry[key] !== null))
  const several = runs.length > 1 || starts.length > 1
  const columns = [
    { head: 'what' },
    ...starts.map(({ at, entry }) => ({
      head: several ? html`${runHtml(shown, at)}, ${entry.started}` : 'value',
    })),
  ]
  const rows = used.map((key) => [
    { content: key },
    ...starts.map(({ entry }) => ({ content: valueText(key, entry) })),
  ])
  return tableHtml('Versions and machine, of each start', columns, rows)
}

function valueText(key: string, entry: Settings): string {
  const value = entry[key]
  if (value === null || value === undefined) return '–'
  if (key === 'memoryBytes') return `${(Number(value) / 1e9).toFixed(1)} GB`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
