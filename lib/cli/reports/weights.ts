// What the weights commands print, as lines for a terminal. Pure.

import type { WeightsEvent } from '../../events.js'
import { sizeText } from '../../machine.js'
import type { FetchEvent } from '../../weights/fetch.js'
import type { WeightsReport } from '../../weights/inspect.js'
import type { WeightRecord } from '../../weights/records.js'
import { percent } from '../percent.js'
import { plain } from '../plain.js'

const MOST = 20 // tensors; the JSON and metrics.jsonl have them all

/** A row a record; '-': not known. */
export function formatRecords(records: readonly WeightRecord[]): string {
  const rows = records.map(({ name, mebibytes, top1, resize, crop, sha256, url }) => [
    name,
    mebibytes === null ? '-' : `${mebibytes.toFixed(1)} MiB`,
    top1 === null ? '-' : top1.toFixed(2),
    `${resize} -> ${crop}`,
    sha256 === null ? '-' : `${sha256}...`,
    url,
  ])
  return table([['name', 'size', 'top-1 %', 'test crop', 'SHA-256', 'from'], ...rows])
}

/** The fields of `list --json`, in their order. */
export const recordJson = (record: WeightRecord) => {
  const { name, url, bytes, sha256, top1, mean, std, resize, crop, licence } = record
  return { name, url, bytes, sha256, top1, mean, std, resize, crop, licence }
}

export function formatWeights(report: WeightsReport): string {
  const { format, wrapper, prefix, tensors, matches, crc } = report
  const row = (name: string, value: string | number) => `${name.padEnd(11)}${value}`
  const shown = tensors.slice(0, MOST)
  const names = shown.map(({ name, dtype, shape }) => [
    `  ${plain(name)}`,
    dtype,
    `[${shape.join(', ')}]`,
  ])
  return [
    row('format', format),
    row('wrapper', plain(wrapper ?? 'none')),
    row('prefix', plain(prefix ?? 'none')),
    row('backbones', matches.join(', ') || 'none'),
    row('checksums', crc),
    row('tensors', tensors.length),
    ...(names.length > 0 ? [table(names)] : []),
    ...(tensors.length > MOST ? [`  and ${tensors.length - MOST} more (--json)`] : []),
  ].join('\n')
}

/** What a run took of the weights it begins with. */
export function initialWeightsText(event: WeightsEvent): string {
  const { path, name, sha256, part, taken, leftOut, initialised, changes } = event
  return [
    `weights ${plain(path)} (${name ? `${name}, ` : ''}SHA-256 ${sha256})`,
    `  taken: ${taken.length} tensors of ${part === 'all' ? 'the whole model' : 'the backbone'}`,
    ...named('left out', leftOut),
    ...named('initialised', initialised),
    ...changes.map((change) => `  ${plain(change)}`),
  ].join('\n')
}

function named(title: string, names: string[]): string[] {
  if (names.length === 0) return []
  const more = names.length > MOST ? ` and ${names.length - MOST} more` : ''
  return [`  ${title}: ${names.slice(0, MOST).map(plain).join(', ')}${more}`]
}

/** A line an event; undefined for those of a progress line. */
export function fetchText(event: FetchEvent): string | undefined {
  switch (event.type) {
    case 'start':
      return `from  ${plain(event.url)}\nto    ${event.target}`
    case 'passed':
      return `passed over ${event.path}: ${event.reason}`
    case 'copy':
      return `copied from ${event.path}`
    case 'resume':
      return `goes on after ${sizeText(event.bytes)}`
    case 'restart':
      return `begins again: ${event.reason}`
    case 'progress':
      return undefined
  }
}

export function fetchProgress(event: FetchEvent & { type: 'progress' }): string {
  const { bytes, total } = event
  return total === undefined
    ? sizeText(bytes)
    : `${sizeText(bytes)} of ${sizeText(total)}  ${percent(bytes / total)}`
}

function table(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
  return rows.map((row) => line(row).join('  ').trimEnd()).join('\n')
}
