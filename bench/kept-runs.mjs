// Runs as child processes, a few at a time, each keeping its result in a JSON file: what is there
// already is not run again, so that an hour of runs can be stopped and continued.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { recipeOf } from './demo-recipes.mjs'

export const resultFile = (run, work) => join(work, `${run.name}.json`)

/** The kept result of a run, or undefined where there is none for its present recipe. */
export function kept(run, work) {
  const file = resultFile(run, work)
  if (!existsSync(file)) return undefined
  const result = JSON.parse(readFileSync(file, 'utf8'))
  return result.recipe === recipeOf(run) ? result : undefined
}

/** The results of all runs, missing ones made first; command(run) -> [program, arguments]. */
export async function keepRuns(runs, { work, jobs }, command) {
  const missing = runs.filter((run) => !kept(run, work))
  console.log(`${runs.length} runs, ${missing.length} to do, ${jobs} at a time`)
  let done = 0
  const queue = [...missing]
  const worker = async () => {
    for (let run = queue.shift(); run; run = queue.shift()) {
      await ended(run, ...command(run)).catch((error) => {
        queue.length = 0 // those that are running finish and are kept
        throw error
      })
      const { top1, seconds } = kept(run, work)
      console.log(
        `[${++done}/${missing.length}] ${run.name}: top-1 ${(100 * top1).toFixed(1)} %, ` +
          `${seconds.toFixed(0)} s`,
      )
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: jobs }, worker))
  const failed = workers.find(({ status }) => status === 'rejected')
  if (failed) throw failed.reason
  return runs.map((run) => ({ ...run, ...kept(run, work) }))
}

function ended({ name }, program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`demo-seeds: ${name} ended with ${signal ?? `code ${code}`}.`))
    })
  })
}
