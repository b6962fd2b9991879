// Claim: on the demo's drawn birds, how much better MC-Loss does than cross entropy with both sides
// tuned by the same number of trials, over seeds; and that PyTorch, given the same initial weights,
// pixels, order, windows, masks and learning rates, trains to the same accuracy.
//
//   npm run bench -- demo-seeds [--phase all|tune|final|pytorch|report] [--seeds 0-4] [--jobs 2]
//
// Every run is kept under --work; a phase that was stopped goes on. The recipe is lib/demo.ts's:
// after `tune`, write the winners there, then run `final`.

import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { datasets } from '../dist/index.js'
import { writePeerRequest } from './demo-plan.mjs'
import {
  confirmingSeeds,
  finalRun,
  losses,
  recipeOf,
  trials,
  tuningRun,
  tuningSeed,
} from './demo-recipes.mjs'
import { accuracyRows, trialsOf, tuningRow } from './demo-report.mjs'
import { keepRuns, kept, resultFile } from './kept-runs.mjs'
import { readOptions } from './options.mjs'
import { tuningTable } from './page.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'
import { mean } from './statistics.mjs'

const given = readOptions({
  phase: 'all', // tune final pytorch report
  work: 'runs/demo-seeds',
  seeds: '0-4', // first-last, of final, pytorch and report
  jobs: 2, // runs at the same time
  threads: 1, // of each run
  epochs: 0, // 0: the recipe's
  python: 'python3',
  dry: false, // print only
})
const options = { ...given, work: resolve(given.work), seeds: seedsOf(given.seeds) }
const phases = { tune, final, pytorch, report }
const wanted = options.phase === 'all' ? Object.keys(phases) : [options.phase]
if (!wanted.every((phase) => phase in phases)) {
  console.error(`demo-seeds: --phase is all, ${Object.keys(phases).join(', ')}.`)
  process.exit(2)
}
mkdirSync(options.work, { recursive: true })
for (const phase of wanted) await phases[phase]()

/** Six trials a loss on one seed, the best two again on two more; prints the winner of each. */
async function tune() {
  const run = (loss, trial, seed) => tuningRun(loss, trial, seed, options)
  const first = losses.flatMap((loss) => trials[loss].map((trial) => run(loss, trial, tuningSeed)))
  await draw(first[0])
  await keepRuns(first, options, ours)
  const finalists = losses.flatMap((loss) => best(loss, [tuningSeed]).slice(0, 2))
  const again = finalists.flatMap(({ loss, trial }) =>
    confirmingSeeds.map((seed) => run(loss, trial, seed)),
  )
  await keepRuns(again, options, ours)
  console.log(tuningTable(trialsOf(tuningResults())))
}

/** The trials of a loss that have all these seeds, best mean top-1 (then lowest test loss) first. */
function best(loss, seeds) {
  return trials[loss]
    .map((trial) => {
      const runs = seeds.map((seed) => kept(tuningRun(loss, trial, seed, options), options.work))
      if (!runs.every(Boolean)) return undefined
      const top1 = runs.map((run) => run.top1)
      return { loss, trial, top1, score: mean(top1), testLoss: mean(runs.map((r) => r.testLoss)) }
    })
    .filter(Boolean)
    .sort((a, b) => b.score - a.score || a.testLoss - b.testLoss)
}

function tuningResults() {
  return losses.flatMap((loss) => {
    const confirmed = best(loss, [tuningSeed, ...confirmingSeeds])
    return best(loss, [tuningSeed]).map((first) => {
      const all = confirmed.find(({ trial }) => trial === first.trial)
      return { ...first, ...all, winner: all !== undefined && all === confirmed[0] }
    })
  })
}

async function final() {
  const runs = finalRuns('ours')
  await draw(runs[0])
  await keepRuns(runs, options, ours)
}

async function pytorch() {
  requirePython(options.python, ['safetensors', 'numpy'])
  const requests = new Map()
  const runs = finalRuns('pytorch')
  for (const run of runs) {
    if (!kept(run, options.work)) requests.set(run, await writePeerRequest(run, options))
  }
  const command = (run) => [options.python, [peerScript('demo.py'), requests.get(run)]]
  await keepRuns(runs, options, command)
}

function report() {
  const runs = [...finalRuns('ours'), ...finalRuns('pytorch')]
  const missing = runs.filter((run) => !kept(run, options.work))
  if (missing.length > 0) {
    console.error(
      `demo-seeds: ${missing.length} runs of this recipe are missing, the first ` +
        `${missing[0].name}; run --phase ${missing[0].side === 'ours' ? 'final' : 'pytorch'}.`,
    )
    process.exit(1)
  }
  const results = runs.map((run) => ({ ...run, ...kept(run, options.work) }))
  const rows = accuracyRows(results, options)
  for (const row of rows) record(row, options.dry)
  const differs = rows.some(
    ({ claim, ratio: { low, high } }) => claim === 'accuracy' && (low > 0 || high < 0),
  )
  if (options.seeds.length < 10 && differs) {
    console.log('An interval mcloss - PyTorch excludes 0: five more seeds are due (--seeds 0-9).')
  }
  const tuning = tuningResults()
  if (tuning.length === 0) {
    console.log('demo-seeds: no tuning run of this recipe is kept.')
    return
  }
  const row = tuningRow(tuning, options, [tuningSeed, ...confirmingSeeds])
  console.log(`\n${tuningTable(row.trials)}`)
  record(row, options.dry)
}

function finalRuns(side) {
  return options.seeds.flatMap((seed) => losses.map((loss) => finalRun(side, loss, seed, options)))
}

/** Draws the images before several processes would at once. */
function draw(run) {
  return datasets.openDataset(run.config.data)
}

/** The command of one of our runs. */
function ours(run) {
  const { config } = run
  const request = { config, recipe: recipeOf(run), out: resultFile(run, options.work) }
  const program = fileURLToPath(new URL('demo-run.mjs', import.meta.url))
  return [process.execPath, [program, JSON.stringify(request)]]
}

function seedsOf(text) {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text)?.map(Number) ?? []
  if (first === undefined || last <= first) {
    console.error(`demo-seeds: expected --seeds as first-last, two or more, received '${text}'.`)
    process.exit(2)
  }
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
