// The settings that decide speed: which others are worth measuring, and which of them to recommend.
// Pure functions.

import type { Config } from '../config/index.js'

/** What a bench may vary; each key is a key of the configuration. */
export type Setting = Pick<Config, 'channelsLast' | 'threads' | 'precision'>
export type Change = Partial<Setting>

export interface Machine {
  /** That this process may use. */
  physicalCores: number
  /** Whether the processor multiplies bfloat16 itself; where it does not, bf16 is only slower. */
  multipliesBf16: boolean
}

/** A figure of one setting beside the configuration's own, by round. */
export interface Comparison {
  change: Change
  /** Images a second / the configuration's own in the same round. */
  ratios: number[]
}

/** Less is within what a busy machine does by itself. */
const WORTH_IT = 1.03

export function settingOf({ channelsLast, threads, precision }: Config): Setting {
  return { channelsLast, threads, precision }
}

/** One change each. Thread counts matter on a CPU alone: on a GPU they only cut and copy. */
export function alternatives(config: Config, machine: Machine): Change[] {
  const { device, threads, precision, channelsLast } = config
  const cores = machine.physicalCores
  const counts = device === 'cpu' ? [cores, Math.max(1, Math.floor(cores / 2))] : []
  const other = precision === 'fp32' ? 'bf16' : 'fp32'
  const bf16IsSensible = device === 'cuda' || machine.multipliesBf16
  return [
    { channelsLast: !channelsLast },
    ...[...new Set(counts)]
      .filter((count) => count !== threads)
      .map((count) => ({ threads: count })),
    ...(other === 'fp32' || bf16IsSensible ? [{ precision: other } as const] : []),
  ]
}

/**
 * The changes that pay: the fastest of each key whose median ratio is at least 1.03 and that was
 * slower in no round.
 */
export function winners(comparisons: Comparison[]): Change[] {
  const best = new Map<string, Comparison>()
  for (const comparison of comparisons) {
    const { change, ratios } = comparison
    if (median(ratios) < WORTH_IT || Math.min(...ratios) < 1) continue
    const key = Object.keys(change).join()
    const before = best.get(key)
    if (!before || median(ratios) > median(before.ratios)) best.set(key, comparison)
  }
  return [...best.values()].map(({ change }) => change)
}

/** The one that pays best, changes of several keys included; undefined where none does. */
export function recommendation(comparisons: Comparison[]): Comparison | undefined {
  const paying = comparisons.filter(({ change }) =>
    winners(comparisons).some((winner) => winner === change),
  )
  return paying.sort((a, b) => median(b.ratios) - median(a.ratios))[0]
}

/** As flags of the command line, to copy. */
export function flagsOf(change: Change): string[] {
  return Object.entries(change).map(([key, value]) => `--${key} ${value}`)
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (i: number) => sorted[i] ?? Number.NaN
  const half = sorted.length >> 1
  return sorted.length % 2 ? at(half) : (at(half - 1) + at(half)) / 2
}
