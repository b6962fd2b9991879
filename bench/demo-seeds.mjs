// Claim: on the demo's drawn birds, how far MC-Loss and cross entropy are apart over seeds; and that
// PyTorch, given the same initial weights, pixels, order, windows, masks and learning rates, trains to
// the same accuracy. The recipe is lib/demo.ts's; docs/results/losses.md says how its rates and weights were
// chosen, on other images and seeds.
//
//   npm run bench -- demo-seeds [--phase all|ours|pytorch|report] [--seeds 5-9] [--jobs 2]
//
// Every run is kept under --work; a phase that was stopped goes on.

import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { datasets } from '../dist/index.js'
import { writePeerRequest } from './demo-plan.mjs'
import { losses, recipeOf, runOf } from './demo-recipes.mjs'
import { accuracyRows } from './demo-report.mjs'
import { keepRuns, kept, resultFile } from './kept-runs.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'

const given = readOptions({
  phase: 'all', // ours pytorch report
  work: 'runs/demo-seeds',
  seeds: '5-9', // first-last; the study has used 0-4, on other images
  jobs: 2, // runs at the same time
  threads: 1, // of each run
  epochs: 0, // 0: the recipe's
  python: 'python3',
  dry: false, // print only
})
const options = { ...given, work: resolve(given.work), seeds: seedsOf(given.seeds) }
const phases = { ours, pytorch, report }
const wanted = options.phase === 'all' ? Object.keys(phases) : [options.phase]
if (!wanted.every((phase) => phase in phases)) {
  console.error(`demo-seeds: --phase is all, ${Object.keys(phases).join(', ')}.`)
  process.exit(2)
}
mkdirSync(options.work, { recursive: true })
for (const phase of wanted) await phases[phase]()

async function ours() {
  const runs = runsOf('ours')
  await draw(runs[0])
  await keepRuns(runs, options, commandOfOurs)
}

async function pytorch() {
  requirePython(options.python, ['safetensors', 'numpy'])
  const requests = new Map()
  const runs = runsOf('pytorch')
  for (const run of runs) {
    if (!kept(run, options.work)) requests.set(run, await writePeerRequest(run, options))
  }
  const command = (run) => [options.python, [peerScript('demo.py'), requests.get(run)]]
  await keepRuns(runs, options, command)
}

function report() {
  const runs = [...runsOf('ours'), ...runsOf('pytorch')]
  const missing = runs.filter((run) => !kept(run, options.work))
  if (missing.length > 0) {
    console.error(
      `demo-seeds: ${missing.length} runs of this recipe are missing, the first ` +
        `${missing[0].name}; run --phase ${missing[0].side}.`,
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
    console.log('An interval mcloss - PyTorch excludes 0: five more seeds are due (--seeds 5-14).')
  }
}

function runsOf(side) {
  return options.seeds.flatMap((seed) => losses.map((loss) => runOf(side, loss, seed, options)))
}

/** Draws the images before several processes would at once. */
function draw(run) {
  return datasets.openDataset(run.config.data)
}

/** The command of one of our runs. */
function commandOfOurs(run) {
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
