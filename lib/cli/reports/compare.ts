// A comparison as Markdown and CSV, its runs as lines, its plan as a table.

import type { CompareEvent } from '../../compare/index.js'
import type { Plan } from '../../compare/plan.js'
import type { CompareReport, EntryReport } from '../../compare/report.js'
import { valuesText } from '../../compare/values.js'
import { sizeText } from '../../machine.js'
import { csvText } from '../../records/csv.js'
import { percent } from '../percent.js'

export function eventText(event: Exclude<CompareEvent, { type: 'notice' }>): string {
  const left = `${event.lacking} to go`
  if (event.type === 'failed') {
    return `FAILED  ${event.label}, seed ${event.seed}: ${event.error}  (${left})`
  }
  const { label, seed, kind, figures, seconds } = event.result
  const split = kind === 'trial' ? 'validation ' : ''
  const found = figures ? `${split}top-1 ${percent(figures.top1)}` : 'the figures are not finite'
  return `${label}, seed ${seed}: ${found}, ${seconds.toFixed(1)} s  (${left})`
}

export function planText({ runs, done, coreHours, entries }: Plan): string {
  const rows = entries.map(({ label, missing, secondsPerRun }) => [
    label,
    String(missing),
    secondsPerRun.toFixed(1),
    ((missing * secondsPerRun) / 3600).toFixed(2),
  ])
  return [
    table(['entry', 'runs to do', 'processor s per run', 'core-hours'], rows),
    '',
    `${runs} runs, ${done} of them done; ${coreHours.toFixed(2)} core-hours for the others. Estimated ` +
      'from the processor time of a few steps and of an evaluation of a few batches per entry.',
  ].join('\n')
}

export function compareMarkdown(report: CompareReport): string {
  const { name, about, entries, failed } = report
  const hasDifferences = report.comparisons > 0
  const hasPublished = entries.some(({ published }) => published)
  const head = ['entry', 'top-1 %', 'sd', 'seeds', 'processor s', 'peak memory']
  if (hasDifferences) head.push('difference', '95 % interval', 'n')
  if (hasPublished) head.push('published top-1 %')
  const rows = entries.map((entry) => [
    ...[nameOf(entry), points(entry.mean), points(entry.sd), entry.seeds.join(' ') || '-'],
    ...[entry.seconds?.toFixed(1) ?? '-', entry.peakBytes ? sizeText(entry.peakBytes) : '-'],
    ...(hasDifferences ? differenceCells(entry) : []),
    ...(hasPublished ? [publishedText(entry)] : []),
  ])
  return `${[
    `# ${name}`,
    ...(about ? [about] : []),
    table(head, rows),
    wordsOf(report).join('\n'),
    ...(entries.some(({ trials }) => trials) ? [tuningText(entries)] : []),
    ...(failed.length > 0 ? [failedText(failed)] : []),
  ].join('\n\n')}\n`
}

/** What the table means, and what it cannot say. */
function wordsOf(report: CompareReport): string[] {
  const { entries, comparisons, machines, versions } = report
  const words = [
    'top-1 is the mean over the seeds; sd is the standard deviation of the sample. Processor seconds are ' +
      'the mean per run, peak memory is the largest resident set of a run.',
  ]
  if (comparisons > 0) {
    const many = comparisons === 1 ? '1 comparison was' : `${comparisons} comparisons were`
    words.push(
      'A difference is in percentage points of top-1: the mean over the n seeds that the entry and its ' +
        `baseline share, paired by seed, with the 95 % interval of Student's t. ${many} made; of ` +
        'twenty without any effect one interval leaves out 0 on average.',
    )
  }
  if (entries.some(({ seeds, difference }) => seeds.length === 1 || difference?.n === 1)) {
    words.push('One seed proves nothing: where n is 1 there is no interval.')
  }
  if (entries.some(({ orientation }) => orientation)) {
    words.push('Entries marked "orientation" have too few seeds to be a result.')
  }
  words.push(`Made on ${machines.join('; ') || '-'}, with ${versions.join('; ') || '-'}.`)
  if (machines.length > 1 || versions.length > 1) {
    words.push('The runs are not all of one machine and version: their costs do not compare.')
  }
  return words
}

function nameOf({ label, orientation, baseline }: EntryReport): string {
  const marks = [
    ...(baseline === label ? ['baseline'] : []),
    ...(orientation ? ['orientation'] : []),
  ]
  return marks.length > 0 ? `${label} (${marks.join(', ')})` : label
}

function differenceCells({ difference, baseline, label }: EntryReport): string[] {
  if (!difference) return [baseline === label ? '' : '-', '', '']
  const { mean, low, high, n } = difference
  return [
    signed(mean),
    low === null || high === null ? '-' : `${signed(low)} .. ${signed(high)}`,
    `${n}`,
  ]
}

const points = (share: number | null) => (share === null ? '-' : (100 * share).toFixed(1))
const signed = (share: number) => `${share >= 0 ? '+' : ''}${(100 * share).toFixed(1)}`

const publishedText = ({ published }: EntryReport) =>
  published ? `${points(published.top1)} (${published.source})` : ''

function tuningText(entries: EntryReport[]): string {
  const rows = entries.flatMap(({ label, tuned, trials = [] }) =>
    trials.map(({ values, top1 }) => [
      label,
      valuesText(values),
      top1.map(points).join(' ') || 'not finite',
      valuesText(values) === valuesText(tuned ?? {}) ? 'chosen' : '',
    ]),
  )
  return `## Tuning\n\n${table(['entry', 'trial', 'validation top-1 % by seed', ''], rows)}`
}

function failedText(failed: CompareReport['failed']): string {
  const lines = failed.map(
    ({ values, seed, error }) => `- ${valuesText(values) || 'the base'}, seed ${seed}: ${error}`,
  )
  return `## Failed\n\n${lines.join('\n')}`
}

/** Markdown, its columns of one width, so that it can be read as it is. */
function table(head: string[], rows: string[][]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = head.map((_, i) => Math.max(3, ...cells.map((row) => (row[i] ?? '').length)))
  const line = (row: string[]) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const [first = [], ...others] = cells
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join(
    '\n',
  )
}

/** One line per entry; shares 0..1, nothing in a cell that has no value. */
export function compareCsv({ entries }: CompareReport): string {
  const head = [
    ...['label', 'values', 'orientation', 'seeds', 'top1', 'mean', 'sd', 'seconds', 'peakBytes'],
    ...['baseline', 'difference', 'low', 'high', 'n', 'published'],
  ]
  const rows = entries.map((entry) => [
    ...[entry.label, JSON.stringify(entry.values), `${entry.orientation}`, entry.seeds.join(' ')],
    ...[entry.top1.join(' '), entry.mean, entry.sd, entry.seconds, entry.peakBytes],
    ...[entry.baseline, entry.difference?.mean, entry.difference?.low, entry.difference?.high],
    ...[entry.difference?.n, entry.published?.top1],
  ])
  return csvText([head, ...rows])
}
