// How a benchmark keeps a measurement: one line more in bench/results.jsonl, then bench/RESULTS.md anew.

import { appendFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { native } from '../dist/binding.js'
import { claims, goalOf } from './goals.mjs'
import { figureText, goalText, pageOf } from './page.mjs'
import { readRows, rowsFile } from './rows.mjs'

/**
 * Prints a row and, unless `dry`, keeps it. `claim` is a key of bench/goals.mjs; the other fields are those
 * of bench/rows.mjs. A row whose check failed is void. gpu: the name of the one it ran on.
 */
export function record({ claim, check, gpu = null, ...given }, dry) {
  const row = {
    date: new Date().toISOString().slice(0, 10),
    bench: claims[claim].bench,
    claim,
    ...given,
    goal: goalOf(claim, given.setting),
    check,
    machine: machine(gpu),
    void: check.ok ? null : check.text,
  }
  console.log(`\n${claim}, ${row.setting}: ${summary(row)}`)
  console.log(`check ${check.ok ? 'passed' : 'FAILED, the row is void'}: ${check.text}`)
  if (dry) {
    console.log('dry: not kept in bench/results.jsonl')
    return
  }
  appendFileSync(rowsFile, `${JSON.stringify(row)}\n`)
  writeFileSync(new URL('RESULTS.md', import.meta.url), pageOf(readRows()))
}

function summary(row) {
  if (!row.ours) return row.sample
  return `${row.void ? 'no figure' : figureText(row)}; goal ${row.void ? '-' : goalText(row)}`
}

function machine(gpu) {
  const { libtorch, cpuCapability } = native().buildInfo()
  return {
    cpu: cpus()[0].model.trim(),
    cores: availableParallelism(),
    isa: cpuCapability,
    libtorch,
    node: process.versions.node,
    gpu,
  }
}
