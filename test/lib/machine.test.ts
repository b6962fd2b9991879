// How many cores a process may use, from what the kernel says in proc/ and sys/.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { physicalCores } from '../../lib/machine.js'
import { temporaryFolder, writeFile } from '../support/folders.js'

/** A machine whose cores have the processors in `cores`, seen by a process that may use `allowed`. */
function machine(cores: number[][], allowed: string, files: Record<string, string> = {}): string {
  const root = temporaryFolder()
  writeFile(join(root, 'proc/self/status'), `Name:\tnode\nCpus_allowed_list:\t${allowed}\nx:\t1\n`)
  for (const processors of cores) {
    for (const cpu of processors) {
      const topology = `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`
      writeFile(join(root, topology), `${processors.join(',')}\n`)
    }
  }
  for (const [path, content] of Object.entries(files)) writeFile(join(root, path), content)
  return root
}

const pairs = [
  [0, 1],
  [2, 3],
]
const apart = [
  [0, 4],
  [1, 5],
  [2, 6],
  [3, 7],
]

test.each<[number, number[][], string]>([
  [2, pairs, '0-3'],
  [2, pairs, '0,2'],
  [1, pairs, '2-3'],
  [1, pairs, '3'],
  [4, apart, '0-7'],
  [2, apart, '1,3,5,7'],
  [3, apart, '4,6-7'],
  [4, apart, '0-1,6,7'],
])('%i of the cores %j for the processors %s', (expected, cores, allowed) => {
  expect(physicalCores(machine(cores, allowed))).toBe(expected)
})

test('a system without a topology: every processor is a core', () => {
  expect(physicalCores(machine([], '0-2,8'))).toBe(4)
})

const v2 = { 'proc/self/cgroup': '0::/a/b\n' }
const v1 = { 'proc/self/cgroup': '9:memory:/m\n4:cpu,cpuacct:/a\n0::/\n' }
const v1Quota = (group: string, quota: number) => ({
  [`sys/fs/cgroup/cpu${group}/cpu.cfs_quota_us`]: `${quota}\n`,
  [`sys/fs/cgroup/cpu${group}/cpu.cfs_period_us`]: '50000\n',
})

test.each<[string, number, Record<string, string>]>([
  ['none', 4, { ...v2, 'sys/fs/cgroup/a/b/cpu.max': 'max 100000\n' }],
  ['two processors', 2, { ...v2, 'sys/fs/cgroup/a/b/cpu.max': '200000 100000\n' }],
  ['two and a half', 2, { ...v2, 'sys/fs/cgroup/a/b/cpu.max': '250000 100000\n' }],
  ['half a processor', 1, { ...v2, 'sys/fs/cgroup/a/b/cpu.max': '50000 100000\n' }],
  ['more than there are', 4, { ...v2, 'sys/fs/cgroup/a/b/cpu.max': '900000 100000\n' }],
  [
    'that of the group above',
    3,
    {
      ...v2,
      'sys/fs/cgroup/a/b/cpu.max': 'max 100000',
      'sys/fs/cgroup/a/cpu.max': '300000 100000',
    },
  ],
  [
    "in a container that sees its own group's folder",
    2,
    { ...v2, 'sys/fs/cgroup/cpu.max': '200000 100000\n' },
  ],
  ['version 1', 3, { ...v1, ...v1Quota('/a', 150_000) }],
  ['version 1, none', 4, { ...v1, ...v1Quota('/a', -1) }],
  ['version 1, of the group above', 1, { ...v1, ...v1Quota('/a', -1), ...v1Quota('', 50_000) }],
])('a quota of processor time: %s', (_, expected, files) => {
  expect(physicalCores(machine(apart, '0-7', files))).toBe(expected)
})
