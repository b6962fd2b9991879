// The machine and the package on it: physical cores, where the package lies, sizes in words.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json. */
export const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..')

export function packageVersion(): string {
  return JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version
}

/** The cores this process may use: two threads of one core share what LibTorch needs. */
export function physicalCores(): number {
  const threads = availableParallelism()
  const cores = new Set<string>()
  try {
    for (let cpu = 0; cpu < threads; cpu++) {
      const topology = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`
      cores.add(readFileSync(topology, 'utf8').trim())
    }
  } catch {
    return threads // a system that does not say
  }
  return cores.size
}

/** Bytes in words: '12 MB', '1.5 GB'. */
export function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
