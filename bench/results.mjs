// Writes bench/RESULTS.md: one dated row a measurement, appended to the table at its end, and
// sections of their own above it.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { native } from '../dist/binding.js'

const file = new URL('RESULTS.md', import.meta.url)

/** One line that names machine and versions; gpu: of a benchmark that ran on one. */
export function machine(gpu) {
  const { libtorch, cpuCapability } = native().buildInfo()
  return (
    `${gpu ? `${gpu}; ` : ''}${cpus()[0].model.trim()}, ` +
    `${availableParallelism()} cores, ${cpuCapability}, ` +
    `LibTorch ${libtorch}, Node ${process.versions.node}`
  )
}

/**
 * Prints the row, and appends it unless `dry`.
 * peer, ours: with their units and spread; ratio: with the direction that is better; check: what
 * makes the figure valid, or why it is void.
 */
export function record({ bench, setting, threads, peer, ours, ratio, goal, check, gpu }, dry) {
  const date = new Date().toISOString().slice(0, 10)
  const cells = [date, bench, setting, threads, peer, ours, ratio, goal, check, machine(gpu)]
  const row = `| ${cells.join(' | ')} |`
  console.log(`\n${row}`)
  if (dry) console.log('dry: not appended to bench/RESULTS.md')
  else appendFileSync(file, `${row}\n`)
}

/** Puts `text` under the heading `## name`, in place of what stood there. */
export function replaceSection(name, text) {
  const [before, after] = split(readFileSync(file, 'utf8'), name)
  writeFileSync(file, `${before}## ${name}\n\n${text}\n\n${after}`)
}

/** The file before the section and after it; a new section goes above the rows. */
function split(content, name) {
  const rows = content.indexOf('## Rows\n')
  const begin = content.indexOf(`## ${name}\n`)
  if (begin < 0) return [content.slice(0, rows), content.slice(rows)]
  const end = content.indexOf('\n## ', begin) + 1
  return [content.slice(0, begin), content.slice(end)]
}
