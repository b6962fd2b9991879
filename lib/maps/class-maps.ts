// What the channels of a class see in pictures: their feature maps, the maximum over them (CCMP) and how
// different they are (h), as the loss has them on unmasked features. docs/mc-loss.md has the symbols.

import type { NativeBatch, NativeTrainer } from '../binding.js'
import type { ChannelGroup } from '../mc-loss.js'

export interface ClassMaps {
  /** The class that owns the channels. */
  label: number
  /** Its channels in the network's last feature map: begin..end-1. */
  group: { begin: number; end: number }
  /** [xi, H, W], row-major: after the last convolution's ReLU. */
  maps: Float32Array
  /** [xi, H, W] */
  shape: [number, number, number]
  /** [H, W]: the maximum over the channels. */
  ccmp: Float32Array
  /** 1 (all channels alike) .. min(xi, H * W) (peaks in different places). */
  h: number
}

/**
 * The maps of the classes `labels[n]` of each picture n of a batch.
 *
 * @throws McLossError as trainer.features.
 */
export async function classMapsOf(
  trainer: Pick<NativeTrainer, 'features'>,
  batch: NativeBatch,
  groups: readonly ChannelGroup[],
  labels: readonly (readonly number[])[],
): Promise<ClassMaps[][]> {
  const used = [...new Set(labels.flat())].map((label) => groups[label] as ChannelGroup)
  const channels = used.flatMap(channelsOf)
  const rowOf = new Map(channels.map((channel, row) => [channel, row]))
  const { data, shape } = await trainer.features(batch, { channels })
  const [, rows, height, width] = shape
  const area = height * width
  return labels.map((wanted, n) =>
    wanted.map((label): ClassMaps => {
      const { begin, end } = groups[label] as ChannelGroup
      const first = (n * rows + (rowOf.get(begin) as number)) * area
      const maps = data.slice(first, first + (end - begin) * area)
      const size: ClassMaps['shape'] = [end - begin, height, width]
      const [ccmp, h] = [maximaOf(maps, size), diversityOf(maps, size)]
      return { label, group: { begin, end }, maps, shape: size, ccmp, h }
    }),
  )
}

function channelsOf({ begin, end }: ChannelGroup): number[] {
  return Array.from({ length: end - begin }, (_, at) => begin + at)
}

/** CCMP: [H, W] of [xi, H, W]. */
export function maximaOf(
  maps: Float32Array,
  [, height, width]: readonly [number, number, number],
): Float32Array {
  const area = height * width
  const maxima = maps.slice(0, area)
  for (const [at, value] of maps.entries()) {
    if (value > (maxima[at % area] as number)) maxima[at % area] = value
  }
  return maxima
}

/** h: the sum over positions of the largest softmax (over positions) of a channel. */
export function diversityOf(
  maps: Float32Array,
  [channels, height, width]: readonly [number, number, number],
): number {
  const area = height * width
  const largest = new Float64Array(area)
  for (let channel = 0; channel < channels; channel++) {
    const map = maps.subarray(channel * area, (channel + 1) * area)
    const peak = Math.max(...map)
    const weights = Float64Array.from(map, (value) => Math.exp(value - peak))
    const sum = weights.reduce((a, b) => a + b, 0)
    for (let at = 0; at < area; at++) {
      largest[at] = Math.max(largest[at] as number, (weights[at] as number) / sum)
    }
  }
  return largest.reduce((a, b) => a + b, 0)
}
