// The text of bench/RESULTS.md, made from rows: a section per claim, a line per setting.

import { claims, goalOf } from './goals.mjs'
import { newestValid, openVoids } from './rows.mjs'
import { deviation } from './statistics.mjs'

/** @typedef {import('./rows.mjs').Row} Row */

const head = `# Results

Written from bench/results.jsonl by \`npm run bench -- results\`; not edited by hand. Each table holds the
newest valid row per setting; bench/results.jsonl keeps every row, with its check and the other figures of
its sitting. [README.md](README.md) says how each benchmark works.

The two sides of a figure ran by turns in one sitting on one machine. \`ours\` and \`peer\` are medians of the
rounds. \`figure\` is their ratio, in parentheses the smallest and the largest ratio of a round. A goal has to
hold, an aim is wished for; bench/goals.mjs states both. A row is void if the check failed that makes its
comparison fair.`

/** @param {Row[]} rows */
export function pageOf(rows) {
  const valid = newestValid(rows)
  // Numbered over all rows, so that a new measurement does not change a number.
  const machines = [...new Set(rows.map(machineText))]
  const sections = Object.entries(claims).map(([id, claim]) => {
    const [own, voids] = [valid, openVoids(rows)].map((all) => all.filter((r) => r.claim === id))
    const notes = voids.map(
      (row) => `Void: ${row.setting}, ${row.date}, without a result: ${row.void}.`,
    )
    const waits = claim.title.includes('on a GPU') && !rows.some((row) => row.claim === id)
    const none = waits ? 'Not yet run on a GPU.' : 'No valid row yet.'
    return [
      `## ${claim.title}`,
      `${claim.means} Peer: ${claim.peer}. Claim \`${id}\`, \`npm run bench -- ${claim.bench}\`.`,
      ...(own.length > 0 ? [tableOf(own, machines)] : [none, goalsOf(id)]),
      ...notes,
    ].filter(Boolean)
  })
  const used = new Set(valid.map(machineText))
  const list = machines
    .flatMap((text, i) => (used.has(text) ? `- M${i + 1}: ${text}` : []))
    .join('\n')
  return `${[head, `Machines:\n\n${list}`, ...sections.flat()].join('\n\n')}\n`
}

/** The newest valid rows of one claim as a table. */
function tableOf(rows, machines) {
  const machine = (row) => `M${machines.indexOf(machineText(row)) + 1}`
  return table(
    ['setting', 'threads', 'figure', 'goal', 'ours', 'peer', 'date', 'machine'],
    rows.map((row) => [
      row.setting,
      row.threads ?? '-',
      figureText(row),
      goalText(row),
      sideText(row.ours),
      `${sideText(row.peer)}, ${row.peer.name}`,
      row.date,
      machine(row),
    ]),
  )
}

function table(titles, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n')
}

/** The figure of a row, with the range of its rounds: '1.217 (1.154 .. 1.247)'. */
export function figureText({ ratio, ours }) {
  const { value, low, high, unit } = ratio ?? { ...ours, low: undefined }
  const range = low === undefined ? '' : ` (${digits(low)} .. ${digits(high)})`
  return `${digits(value)}${range}${unit ? ` ${unit}` : ''}`
}

/** '>= 1.15: met; aim >= 1.25: not met'; the goal is the one that bench/goals.mjs has now. */
export function goalText({ claim, setting, ratio, ours }) {
  const goal = goalOf(claim, setting)
  if (!goal) return '-'
  const { value, unit = '' } = ratio ?? ours
  const holds = (limit) => (goal.op === '>=' ? value >= limit : value <= limit)
  const text = (limit) =>
    `${goal.op} ${limit}${unit && ` ${unit}`}: ${holds(limit) ? 'met' : 'not met'}`
  return [goal.value !== null && text(goal.value), goal.aim !== null && `aim ${text(goal.aim)}`]
    .filter(Boolean)
    .join('; ')
}

/** Of a claim without a row. */
function goalsOf(id) {
  const { op, goals = {} } = claims[id]
  const lines = Object.entries(goals).flatMap(([setting, { value, aim }]) =>
    [value !== undefined && `goal ${op} ${value}`, aim !== undefined && `aim ${op} ${aim}`]
      .filter(Boolean)
      .map((text) => (setting === '*' ? text : `${setting}: ${text}`)),
  )
  return lines.length > 0 ? `Wanted: ${lines.join('; ')}.` : ''
}

/** Median and unit; of values by seed the mean, the standard deviation and all of them. */
function sideText({ value, unit, values }) {
  if (!values) return `${digits(value)} ${unit}`
  return `${value.toFixed(2)} ${unit}, deviation ${deviation(values).toFixed(2)}: ${values.map((v) => v.toFixed(1)).join(' ')}`
}

/** Four significant digits. */
const digits = (value) => String(Number(value.toPrecision(4)))

function machineText({ machine }) {
  const { gpu, cpu, cores, isa, libtorch, node } = machine
  return `${gpu ? `${gpu}; ` : ''}${cpu}, ${cores} cores, ${isa}, LibTorch ${libtorch}, Node ${node}`
}
