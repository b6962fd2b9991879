// RUN/maps/epoch-NNNN.png: the channel maps that explain.images has a run draw once NNNN epochs are done.

import { join } from 'node:path'

export const mapsFolder = (runDir: string) => join(runDir, 'maps')

/** `epochs`: a number, or its digits in a name. */
export const mapsFile = (epochs: number | string) => `epoch-${String(epochs).padStart(4, '0')}.png`

/** The digits of those among the names of files that are maps, the fewest epochs first. */
export function mapsAmong(names: readonly string[]): string[] {
  return names
    .flatMap((name) => /^epoch-(\d{4,9})\.png$/.exec(name)?.[1] ?? [])
    .sort((a, b) => Number(a) - Number(b))
}
