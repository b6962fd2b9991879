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

/**
 * The cores this process may use: those of its processors, since two threads of one core share what
 * LibTorch needs, and no more than the processor time that a container gives it. `root` has proc/
 * and sys/.
 */
export function physicalCores(root = '/'): number {
  const processors = allowedProcessors(root)
  if (processors.length === 0) return availableParallelism() // a system that does not say
  const cores = new Set(
    processors.map((cpu) => {
      const topology = `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`
      return textOf(join(root, topology)).trim() || String(cpu)
    }),
  )
  return Math.max(1, Math.min(cores.size, Math.floor(processorTime(root))))
}

/** By number, from a list such as '0-3,8'. */
function allowedProcessors(root: string): number[] {
  const status = textOf(join(root, 'proc/self/status'))
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 || 0 }, (_, index) => first + index)
  })
}

/** In processors: the least quota of the control groups, both versions, that this process is in. */
function processorTime(root: string): number {
  const groups = textOf(join(root, 'proc/self/cgroup')).matchAll(/^\d+:([^:]*):(\/.*)$/gm)
  const quotas = [...groups].flatMap(([, controllers = '', path = '']) => {
    if (controllers === '') {
      return above(path).map((group) => textOf(join(root, 'sys/fs/cgroup', group, 'cpu.max')))
    }
    if (!controllers.split(',').includes('cpu')) return []
    return above(path).map((group) => {
      const folder = join(root, 'sys/fs/cgroup/cpu', group)
      const part = (name: string) => textOf(join(folder, `cpu.cfs_${name}_us`)).trim()
      return `${part('quota')} ${part('period')}`
    })
  })
  // 'max' or -1 is no quota.
  const shares = quotas.map((text) => {
    const [quota = Number.NaN, period = Number.NaN] = text.trim().split(/\s+/).map(Number)
    return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY
  })
  return Math.min(Number.POSITIVE_INFINITY, ...shares)
}

/** A group and all above it; in a container the path may begin outside of what is mounted. */
function above(path: string): string[] {
  return path === '/' ? [path] : [path, ...above(dirname(path))]
}

/** '' where the system does not say. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Bytes in words: '12 MB', '1.5 GB'. */
export function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
