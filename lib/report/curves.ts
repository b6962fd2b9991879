// The curves of runs by epoch, as the page draws them.

import type { EpochEvent } from '../events.js'
import type { Chart, Series } from '../page/content.js'

/** What curves need of a run. */
export interface Curved {
  name: string
  epochs: readonly EpochEvent[]
}

interface Curve {
  /** Nothing for a chart's only one. */
  label: string
  kind: number
  of: (event: EpochEvent) => number | null | undefined
}

interface Plan {
  id: string
  title: string
  unit: Chart['unit']
  curves: Curve[]
}

/** A chart for each kind of figure that a run has. */
export function chartsOf(runs: readonly Curved[]): Chart[] {
  const parts = new Set(
    runs.flatMap(({ epochs }) => epochs.flatMap(({ train }) => Object.keys(train.parts ?? {}))),
  )
  return plansOf([...parts]).flatMap((plan) => chartOf(plan, runs))
}

function plansOf(parts: string[]): Plan[] {
  const evaluated = (figure: 'loss' | 'top1' | 'top5' | 'meanPerClass'): Curve[] => [
    { label: 'test', kind: 1, of: ({ test }) => test?.[figure] },
    { label: 'validation', kind: 2, of: ({ validation }) => validation?.[figure] },
    { label: 'weight average (EMA)', kind: 3, of: ({ ema }) => ema?.[figure] },
  ]
  const one = (of: Curve['of']) => [{ label: '', kind: 0, of }]
  return [
    {
      ...{ id: 'top1', title: 'Accuracy (top-1)', unit: 'share' },
      curves: [{ label: 'train', kind: 0, of: ({ train }) => train.top1 }, ...evaluated('top1')],
    },
    {
      ...{ id: 'mean-per-class', title: 'Mean accuracy per class', unit: 'share' },
      curves: evaluated('meanPerClass'),
    },
    {
      ...{ id: 'loss', title: 'Loss that is minimised', unit: 'plain' },
      curves: one((event) => event.train.loss),
    },
    ...parts.map((part): Plan => {
      const of = (event: EpochEvent) => event.train.parts?.[part]
      return { id: `part-${part}`, title: `Loss part: ${part}`, unit: 'plain', curves: one(of) }
    }),
    {
      ...{ id: 'cross-entropy', title: 'Cross entropy of evaluated images', unit: 'plain' },
      curves: evaluated('loss'),
    },
    {
      ...{ id: 'lr', title: 'Learning rate', unit: 'plain' },
      curves: one((event) => event.lr),
    },
    {
      ...{ id: 'speed', title: 'Images per second', unit: 'plain' },
      curves: one((event) => event.train.imagesPerSecond),
    },
    {
      ...{ id: 'data-wait', title: 'Share of the time spent waiting for data', unit: 'share' },
      curves: one((event) => event.train.dataWait),
    },
  ]
}

function chartOf({ curves, ...plan }: Plan, runs: readonly Curved[]): Chart[] {
  const seen = runs.flatMap((run) => run.epochs.filter((event) => curves.some(has(event))))
  const epochs = [...new Set(seen.map(({ epoch }) => epoch))].sort((a, b) => a - b)
  const series = runs.flatMap((run, at) => {
    const byEpoch = new Map(run.epochs.map((event) => [event.epoch, event]))
    return curves.flatMap((curve): Series[] => {
      const values = epochs.map((epoch) => rounded(byEpoch.get(epoch), curve))
      if (values.every((value) => value === null)) return []
      const words = [runs.length > 1 ? run.name : '', curve.label].filter(Boolean)
      return [{ label: words.join(', ') || plan.title, run: at, kind: curve.kind, values }]
    })
  })
  return series.length > 0 ? [{ ...plan, epochs: epochs.map((epoch) => epoch + 1), series }] : []
}

const has = (event: EpochEvent) => (curve: Curve) => Number.isFinite(curve.of(event))

/** As many digits as a chart can show. */
function rounded(event: EpochEvent | undefined, { of }: Curve): number | null {
  const value = event && of(event)
  return Number.isFinite(value) ? Number((value as number).toPrecision(5)) : null
}

/** A chart in words, for whoever does not see it. */
export function chartWords(
  { unit, epochs, series }: Chart,
  text: (value: number, unit: Chart['unit']) => string,
) {
  const lines = series.map(({ label, values }) => {
    const known = values.flatMap((value, at) => (value === null ? [] : [{ value, at }]))
    const [first, last] = [known[0], known.at(-1)]
    if (!first || !last) return `${label}: no figures.`
    const high = known.reduce((best, one) => (one.value > best.value ? one : best))
    const low = known.reduce((best, one) => (one.value < best.value ? one : best))
    const at = (point: { value: number; at: number }) =>
      `${text(point.value, unit)} at epoch ${epochs[point.at]}`
    return `${label}: ${at(first)}, ${at(last)}; lowest ${at(low)}, highest ${at(high)}.`
  })
  return lines.join(' ')
}
