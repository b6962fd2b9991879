// How many physical cores this process may use: two threads of one core share what LibTorch needs.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

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
