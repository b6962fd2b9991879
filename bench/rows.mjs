// bench/results.jsonl: every measurement, one JSON object a line, oldest first. Rows are only ever
// appended; a row that turns out to be wrong gets its reason in `void`.

import { readFileSync } from 'node:fs'

export const rowsFile = new URL('results.jsonl', import.meta.url)

/**
 * A measured side: the median with the smallest and largest round, or a single number.
 * `values` of demo-seeds: one a seed, `value` their mean.
 * @typedef {{
 *   name: string, value: number, low?: number, high?: number, unit: string, values?: number[],
 * }} Figure
 *
 * `value`: of the medians; `median`, `low`, `high`: of the rounds' own ratios. Of paired differences
 * `low` and `high` are the 95 % interval. `unit`: none is a plain ratio.
 * @typedef {{
 *   value: number, median?: number, low?: number, high?: number, unit?: string,
 * }} Ratio
 *
 * claim: a key of bench/goals.mjs; sample: how much was measured (rounds, runs, files), null where
 * that is not known; also: further figures of the same sitting; check: why the comparison is fair, or
 * how it failed; void: null, or the reason why the row is no result; text: what is no number.
 * @typedef {{
 *   date: string, bench: string, claim: string, setting: string, sample: string | null,
 *   threads: number | null, peer: Figure | null, ours: Figure | null, ratio: Ratio | null,
 *   also?: Figure[],
 *   goal: {op: string, value: number | null, aim: number | null} | null,
 *   check: {ok: boolean, text: string},
 *   machine: {
 *     cpu: string, cores: number, isa: string, libtorch: string, node: string, gpu: string | null,
 *   },
 *   void: string | null, text?: string,
 * }} Row
 */

/** @returns {Row[]} */
export function readRows() {
  const lines = readFileSync(rowsFile, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line))
}

/** Rows that measure the same have the same key. @param {Row} row */
export function keyOf({ claim, setting, threads }) {
  return JSON.stringify([claim, setting, threads])
}

/**
 * The newest valid row per claim, setting and threads, in the order in which the keys first appear; of
 * one day, the one further down.
 * @param {Row[]} rows
 */
export function newestValid(rows) {
  /** @type {Map<string, Row>} */
  const newest = new Map()
  for (const row of rows) {
    const other = newest.get(keyOf(row))
    if (row.void === null && !(other && other.date > row.date)) newest.set(keyOf(row), row)
  }
  return [...newest.values()]
}

/**
 * Void rows that no valid row of the same key follows: the newest of each key.
 * @param {Row[]} rows
 */
export function openVoids(rows) {
  /** @type {Map<string, Row>} */
  const open = new Map()
  for (const row of rows.toSorted((a, b) => a.date.localeCompare(b.date))) {
    if (row.void === null) open.delete(keyOf(row))
    else open.set(keyOf(row), row)
  }
  return [...open.values()]
}
