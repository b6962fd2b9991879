// @ts-check
// The forms of the CPU loops that this processor can run: its own, which needs no setting, then lesser
// ones.

import { readFileSync } from 'node:fs'

/** @returns {{name: string, env?: NodeJS.ProcessEnv}[]} */
export function loopsHere() {
  const avx2 = /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
  return [
    { name: 'the loops for this processor' },
    ...(avx2 ? [{ name: 'the loops for AVX2', env: { ATEN_CPU_CAPABILITY: 'avx2' } }] : []),
    { name: 'the plain loops', env: { ATEN_CPU_CAPABILITY: 'default' } },
  ]
}
