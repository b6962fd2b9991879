// @ts-check
// `npm run study-charts`: draws docs/results/NAME/NAME.svg of every study that has its table, from NAME.json:
// how far each entry is from its baseline, by seed, with the mean and its 95 % interval.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'

/** @typedef {import('../../lib/compare/report.js').CompareReport} CompareReport */
/** @typedef {import('../../lib/compare/report.js').EntryReport} EntryReport */

const WIDTH = 930
const LEFT = 400 // where the axis begins: the names stand before it
const RIGHT = 20
const ROW = 26
const TOP = 44
const STEPS = [5, 10] // percentage points between two lines of the axis
const COARSEST = 20
const MOST_LINES = 10

await runAsProgram(import.meta.url, async () => {
  const folder = join(packageRoot, 'docs/results')
  for (const { name } of readdirSync(join(folder, 'studies')).map((file) => parse(file))) {
    const report = join(folder, name, `${name}.json`)
    if (!existsSync(report)) continue
    writeFileSync(
      join(folder, name, `${name}.svg`),
      chartOf(JSON.parse(readFileSync(report, 'utf8'))),
    )
  }
})

/** @param {CompareReport} report @returns {string} an SVG */
export function chartOf({ entries }) {
  const rows = entries.flatMap((entry) => {
    const baseline = entries.find(({ label }) => label === entry.baseline)
    return entry.difference && baseline ? [rowOf(entry, baseline)] : []
  })
  const all = rows.flatMap(({ bySeed, low, high }) => [...bySeed, low, high])
  const [least, most] = [Math.min(0, ...all), Math.max(0, ...all)]
  const step = STEPS.find((one) => (most - least) / one < MOST_LINES) ?? COARSEST
  const first = Math.floor(least / step) * step
  const last = Math.ceil(most / step) * step
  const x = (/** @type {number} */ value) =>
    rounded(LEFT + ((value - first) / (last - first)) * (WIDTH - LEFT - RIGHT))
  const bottom = TOP + rows.length * ROW
  const ticks = Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step)
  const line = (/** @type {number} */ value) =>
    `<line x1="${x(value)}" x2="${x(value)}" y1="${TOP}" y2="${bottom}" ` +
    `stroke="${value === 0 ? '#444' : '#ddd'}"/>` +
    `<text x="${x(value)}" y="${bottom + 18}" text-anchor="middle">${signed(value)}</text>`
  const height = bottom + 28
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>Difference to the baseline by entry</title>
<rect width="100%" height="100%" fill="#fff"/>
<g font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="#222">
<text x="10" y="22">Percentage points of top-1 above the baseline: each seed (rings), mean, 95 % interval; coloured where it leaves out 0</text>
${ticks.map(line).join('\n')}
${rows.map((row, at) => markOf(row, TOP + (at + 0.5) * ROW, x)).join('\n')}
</g>
</svg>
`
}

/** @param {EntryReport} entry @param {EntryReport} baseline @returns what its row shows, in points */
function rowOf({ label, orientation, seeds, top1, difference }, baseline) {
  const { mean = Number.NaN, low, high } = difference ?? {}
  const bySeed = seeds.flatMap((seed, i) => {
    const at = baseline.seeds.indexOf(seed)
    return at < 0 ? [] : [100 * (Number(top1[i]) - Number(baseline.top1[at]))]
  })
  return {
    name: orientation ? `${label} (orientation)` : label,
    ...{ bySeed, mean: 100 * mean, low: 100 * (low ?? mean), high: 100 * (high ?? mean) },
  }
}

/** @param {ReturnType<typeof rowOf>} row @param {number} y @param {(value: number) => number} x */
function markOf({ name, bySeed, mean, low, high }, y, x) {
  const colour = low > 0 ? '#1b6ca8' : high < 0 ? '#b8481f' : '#666'
  const rings = bySeed.map(
    (value) => `<circle cx="${x(value)}" cy="${y}" r="4" fill="none" stroke="${colour}"/>`,
  )
  return (
    `<text x="10" y="${y + 4}">${name}</text>` +
    `<line x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="2"/>` +
    `${rings.join('')}<circle cx="${x(mean)}" cy="${y}" r="5" fill="${colour}"/>`
  )
}

function signed(/** @type {number} */ value) {
  return value > 0 ? `+${value}` : `${value}`
}

function rounded(/** @type {number} */ value) {
  return Math.round(10 * value) / 10
}
