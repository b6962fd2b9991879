// Mean and standard deviation of pixels: the configuration's, else those the first weights were
// trained with.

import type { WeightRecord } from '../weights/records.js'

type PerChannel = [number, number, number]

/** What is taken if nothing says otherwise: pixels from -1 to 1. */
export const half: PerChannel = [0.5, 0.5, 0.5]

export interface Normalisation {
  mean: PerChannel
  std: PerChannel
  /** Who said so, in words. */
  source: string
}

interface Given {
  mean?: PerChannel | undefined
  std?: PerChannel | undefined
}

/** before: of the run that goes on. */
export function normalisationOf(
  config: Given,
  { record, before }: { record?: WeightRecord | undefined; before?: Given | undefined },
): Normalisation {
  const other = before ?? record
  const mean = config.mean ?? other?.mean ?? half
  const std = config.std ?? other?.std ?? half
  const own = [config.mean && 'mean', config.std && 'std'].filter((key) => key !== undefined)
  const rest = before
    ? 'the run that goes on'
    : record
      ? `the record of ${record.name}`
      : 'the default: neither the configuration nor a record of the weights says'
  const source = own.length === 2 ? 'the configuration' : rest
  return {
    mean: [...mean],
    std: [...std],
    source: own.length === 1 ? `${own[0]}: the configuration; the other: ${rest}` : source,
  }
}

/** A sentence if the configuration differs from the weights' own; undefined: it does not. */
export function normalisationWarning(config: Given, record: WeightRecord): string | undefined {
  const differing = (['mean', 'std'] as const).filter(
    (key) => config[key] !== undefined && String(config[key]) !== String(record[key]),
  )
  if (differing.length === 0) return undefined
  const texts = differing.map(
    (key) => `data.${key} is ${config[key]?.join(', ')}, not ${record[key].join(', ')}`,
  )
  return (
    `train: ${texts.join('; ')}, with which ${record.name} was trained. Leave data.mean and data.std ` +
    "out to take the weights' own."
  )
}
