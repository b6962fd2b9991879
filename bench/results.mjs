// Appends one dated row to bench/RESULTS.md: what was measured, on which machine, with what.

import { appendFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { native } from '../dist/binding.js'

const file = new URL('RESULTS.md', import.meta.url)

/** One line that names machine and versions. */
export function machine() {
  const { libtorch, cpuCapability } = native().buildInfo()
  return (
    `${cpus()[0].model.trim()}, ${availableParallelism()} cores, ${cpuCapability}, ` +
    `LibTorch ${libtorch}, Node ${process.versions.node}`
  )
}

/**
 * Prints the row, and appends it unless `dry`.
 * peer, ours: with their units and spread; ratio: with the direction that is better; check: what
 * makes the figure valid, or why it is void.
 */
export function record({ bench, setting, threads, peer, ours, ratio, goal, check }, dry) {
  const date = new Date().toISOString().slice(0, 10)
  const cells = [date, bench, setting, threads, peer, ours, ratio, goal, check, machine()]
  const row = `| ${cells.join(' | ')} |`
  console.log(`\n${row}`)
  if (dry) console.log('dry: not appended to bench/RESULTS.md')
  else appendFileSync(file, `${row}\n`)
}
