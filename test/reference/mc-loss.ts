// The Mutual-Channel Loss in plain loops and float64, from the formulas of docs/mc-loss.md alone: a
// slow twin of native/ops. The first channel wins a tie.

import type { McLossOptions } from '../../lib/mc-loss.js'

export interface TwinResult {
  dis: number
  div: number
  loss: number
  /** Sum of the magnitudes of the loss's terms: what a difference of `loss` is held against. */
  lossScale: number
  /** [N * K]. */
  classScores: number[]
  grad: Float64Array
  /** [N * C * H * W]: 1 in a (sample, class) where rounding may decide a softmax maximum. */
  nearTie: Uint8Array
  /** How far the features can move before a maximum changes hands: 0 at a tie. */
  gap: number
}

export function mcLossTwin(options: McLossOptions): TwinResult {
  const { features, shape, target, numClasses } = options
  const [samples, channels, height, width] = shape
  const positions = height * width
  const grad = new Float64Array(features.length)
  const nearTie = new Uint8Array(features.length)
  const classScores: number[] = []
  let dis = 0
  let div = 0
  let share = 0 // mean of h / xi
  let gap = Number.POSITIVE_INFINITY

  for (let n = 0; n < samples; n++) {
    const groups = channelsOf(channels, numClasses).map((group) =>
      group.map((c) => {
        const begin = (n * channels + c) * positions
        const map = Array.from(features.subarray(begin, begin + positions))
        return { begin, map, soft: softmax(map), kept: keeps(options, n, c) }
      }),
    )
    const scores: number[] = []
    const scoreWinners: number[][] = []
    for (const group of groups) {
      const xi = group.length
      const winners: number[] = []
      let score = 0
      let h = 0
      const won = new Array<number>(xi).fill(0) // softmax where the channel is the maximum
      const softWinners: number[] = []
      for (let p = 0; p < positions; p++) {
        const attended = group.map(({ map, kept }) => (kept ? (map[p] as number) : 0))
        const best = firstLargest(attended)
        score += (attended[best] as number) / positions
        winners.push(best)
        // Masked channels are 0 whatever their features: they tie without a kink.
        const rivals = attended.filter(
          (_, i) => i !== best && (group[i]?.kept || group[best]?.kept),
        )
        gap = Math.min(gap, ...rivals.map((rival) => (attended[best] as number) - rival))

        const soft = group.map((channel) => channel.soft[p] as number)
        const top = firstLargest(soft)
        const largest = soft[top] as number
        h += largest
        won[top] = (won[top] as number) + largest
        softWinners.push(top)
        for (const [i, value] of soft.entries()) {
          if (i === top || positions === 1) continue // of one position a softmax is the constant 1
          const distance = (largest - value) / largest
          gap = Math.min(gap, distance)
          if (distance === 0 || distance >= 1e-5) continue
          for (const { begin } of group) nearTie.fill(1, begin, begin + positions)
        }
      }
      scores.push(score)
      scoreWinners.push(winners)
      div += h / (samples * numClasses)
      share += h / xi / (samples * numClasses)
      const byH = weightOfH(options, xi) / (samples * numClasses)
      for (const [i, { begin, soft }] of group.entries()) {
        for (const [p, value] of soft.entries()) {
          const wins = softWinners[p] === i ? 1 : 0
          grad[begin + p] = byH * value * (wins - (won[i] as number))
        }
      }
    }

    const label = target[n] as number
    dis += (logSumExp(scores) - (scores[label] as number)) / samples
    const probabilities = softmax(scores)
    for (const [k, group] of groups.entries()) {
      const byScore = ((probabilities[k] as number) - (k === label ? 1 : 0)) / samples
      for (const [p, best] of (scoreWinners[k] ?? []).entries()) {
        const winner = group[best]
        if (!winner?.kept) continue
        grad[winner.begin + p] =
          (grad[winner.begin + p] as number) + (weightOfDis(options) * byScore) / positions
      }
    }
    classScores.push(...scores)
  }
  return { dis, div, ...weighted(options, dis, div, share), classScores, grad, nearTie, gap }
}

/** Each class's channels, dealt in turn from the last class down: the smaller groups come first. */
function channelsOf(channels: number, classes: number): number[][] {
  const sizes = new Array<number>(classes).fill(0)
  for (let c = 0; c < channels; c++) {
    const owner = classes - 1 - (c % classes)
    sizes[owner] = (sizes[owner] as number) + 1
  }
  let next = 0
  return sizes.map((size) => Array.from({ length: size }, () => next++))
}

function keeps({ mask, shape: [, channels] }: McLossOptions, n: number, c: number): boolean {
  if (!mask) return true
  return mask[mask.length === channels ? c : n * channels + c] === 1
}

function weightOfDis(options: McLossOptions): number {
  return options.form === 'paper' ? options.mu : options.alpha
}

/** The factor of h_i in the sum over samples and classes, before division by their number. */
function weightOfH(options: McLossOptions, xi: number): number {
  return options.form === 'paper' ? -options.mu * options.lambda : -options.beta / xi
}

function weighted(options: McLossOptions, dis: number, div: number, share: number) {
  if (options.form === 'paper') {
    const { mu, lambda } = options
    return {
      loss: mu * (dis - lambda * div),
      lossScale: Math.abs(mu * dis) + Math.abs(mu * lambda * div),
    }
  }
  const { alpha, beta } = options
  return {
    loss: alpha * dis + beta * (1 - share),
    lossScale: Math.abs(alpha * dis) + Math.abs(beta) + Math.abs(beta * share),
  }
}

function firstLargest(values: readonly number[]): number {
  let best = 0
  for (const [i, value] of values.entries()) if (value > (values[best] as number)) best = i
  return best
}

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values)
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0))
}

function softmax(values: readonly number[]): number[] {
  const largest = Math.max(...values)
  const powers = values.map((value) => Math.exp(value - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}
