// The picture as a number: how much the maps of a class's channels lie in the same places, and how much
// of a map lies inside a mask. Maps are not negative; each is divided by its sum first.

/**
 * The mean over the pairs of channels of the sum over positions of min(p, q): 0 for maps that nowhere
 * meet, 1 for maps alike. A channel that is 0 everywhere lies nowhere and is left out; undefined where
 * no pair is left.
 */
export function overlapOf(
  maps: Float32Array,
  [channels, height, width]: readonly [number, number, number],
): number | undefined {
  const area = height * width
  const shares = Array.from({ length: channels }, (_, channel) =>
    sharesOf(maps.subarray(channel * area, (channel + 1) * area)),
  ).filter((map) => map !== undefined)
  let [sum, pairs] = [0, 0]
  for (const [at, p] of shares.entries()) {
    for (const q of shares.slice(at + 1)) {
      for (let position = 0; position < area; position++) {
        sum += Math.min(p[position] as number, q[position] as number)
      }
      pairs++
    }
  }
  return pairs > 0 ? sum / pairs : undefined
}

/** A mask over the picture that the network sees. */
export interface Mask {
  /** u8 [height, width]: 0 outside. */
  inside: Uint8Array
  height: number
  width: number
}

/**
 * The share of a map's sum inside a mask, each position of the map standing for its rectangle of the
 * picture. Undefined for a map that is 0 everywhere.
 */
export function massInside(
  map: Float32Array,
  [height, width]: readonly [number, number],
  mask: Mask,
): number | undefined {
  const cover = coverOf(mask, height, width)
  return sharesOf(map)?.reduce((sum, share, at) => sum + share * (cover[at] as number), 0)
}

/** What a map that is the same everywhere has inside. */
export function areaInside({ inside }: Mask): number {
  return inside.filter((value) => value > 0).length / inside.length
}

/** [height, width]: which share of each position's pixels lies inside. */
function coverOf(mask: Mask, height: number, width: number): Float64Array {
  const [inside, all] = [new Float64Array(height * width), new Float64Array(height * width)]
  for (const [pixel, value] of mask.inside.entries()) {
    const [y, x] = [Math.floor(pixel / mask.width), pixel % mask.width]
    const row = Math.floor(((y + 0.5) * height) / mask.height)
    const at = row * width + Math.floor(((x + 0.5) * width) / mask.width)
    all[at] = (all[at] as number) + 1
    if (value > 0) inside[at] = (inside[at] as number) + 1
  }
  return inside.map((count, at) => count / (all[at] as number))
}

function sharesOf(map: Float32Array): Float64Array | undefined {
  const sum = map.reduce((a, b) => a + b, 0)
  return sum > 0 ? Float64Array.from(map, (value) => value / sum) : undefined
}
