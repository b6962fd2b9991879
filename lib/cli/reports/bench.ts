// A bench's report in words, for a terminal.

import type { BenchReport, Measured } from '../../bench/index.js'
import { median, type Setting } from '../../bench/settings.js'
import { percent } from '../percent.js'

/** Operators that a profile names; the rest is one line. */
const NAMED = 15

/** Aligned lines. */
export function formatBench(report: BenchReport): string {
  const { own, data, profile, recommended } = report
  const [height, width] = report.crop
  const lines = [
    `${report.model}, ${report.loss}, ${report.classes} classes, ${height}x${width} px, ` +
      `batches of ${report.batchSize}`,
    `${report.device}: ${report.cpu}, LibTorch ${report.libtorch}`,
    '',
    measuredLine('this configuration', own),
    `${''.padEnd(label)}first step after ${own.turns[0]?.firstStepSeconds.toFixed(2)} s; ` +
      `loss ${own.turns[0]?.loss.toFixed(4)}`,
    ...report.alternatives.map((other) => {
      const ratio = `${median(other.ratios).toFixed(3)} x`
      return `${measuredLine(changeText(other.change), other)}, ${ratio} (${range(other.ratios, 3)})`
    }),
  ]
  if (data) {
    const share = data.imagesPerSecond / median(own.turns.map((turn) => turn.imagesPerSecond))
    lines.push(
      `${'with its data'.padEnd(label)}${data.imagesPerSecond.toFixed(2)} images/s over ` +
        `${data.steps} steps, ${share.toFixed(3)} of the above; waited for data ` +
        `${percent(data.dataWait)}; store ${data.store}`,
    )
  }
  if (profile) lines.push('', ...profileLines(profile))
  if (report.alternatives.length > 0) {
    lines.push('', ...recommendationLines(recommended))
  }
  return lines.join('\n')
}

function recommendationLines(recommended: BenchReport['recommended']): string[] {
  if (!recommended) return ['recommended: no change; nothing measured is faster beyond the noise']
  const { flags, ratios } = recommended
  return [
    `recommended: ${flags.join(' ')}   (${median(ratios).toFixed(3)} x)`,
    ...(flags.some((flag) => flag.startsWith('--precision'))
      ? ['             another precision is other numerics: compare an accuracy before you keep it']
      : []),
  ]
}

function profileLines(profile: NonNullable<BenchReport['profile']>): string[] {
  const total = profile.reduce((sum, { selfMs }) => sum + selfMs, 0)
  const line = (name: string, calls: number, ms: number) =>
    `${ms.toFixed(2).padStart(10)} ms ${percent(ms / total).padStart(7)} ` +
    `${String(calls).padStart(6)}  ${name}`
  const rest = profile.slice(NAMED)
  return [
    `one step, ${total.toFixed(1)} ms: time in each operator itself, share, calls`,
    ...profile.slice(0, NAMED).map(({ name, calls, selfMs }) => line(name, calls, selfMs)),
    ...(rest.length > 0
      ? [
          line(
            `${rest.length} others`,
            rest.reduce((sum, { calls }) => sum + calls, 0),
            rest.reduce((sum, { selfMs }) => sum + selfMs, 0),
          ),
        ]
      : []),
  ]
}

/** E.g. 'threads 1, precision bf16'. */
export function changeText(change: Partial<Setting>): string {
  return Object.entries(change)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')
}

const label = 22
function measuredLine(name: string, { turns }: Measured): string {
  const speeds = turns.map(({ imagesPerSecond }) => imagesPerSecond)
  return `${name.padEnd(label)}${median(speeds).toFixed(2)} images/s (${range(speeds, 2)})`
}

function range(values: number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)} .. ${Math.max(...values).toFixed(digits)}`
}
