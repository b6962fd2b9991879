// Memory of this process, bytes: VmRSS is what is resident now, VmHWM the most so far.

import { readFileSync } from 'node:fs'

export function resident(name) {
  const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(
    readFileSync('/proc/self/status', 'utf8'),
  )
  return 1024 * Number(kilobytes)
}
