// Claim: a dashboard costs the training that it shows nothing, even with 50 browsers that never read. Rounds
// of toy steps through the public API take turns: the dashboard, a process of its own, has no browser, or
// 50 that stand still (bench/stalled-clients.mjs). It also shows seven long runs, so that its answers fill
// every buffer. Processor time and event loop are those of the training process.
//
//   npm run bench -- dashboard [--rounds 10] [--steps 200] [--clients 50] [--dry]

import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { train } from '../dist/index.js'
import { scratchDir } from './batches.mjs'
import { LineProcess } from './line-process.mjs'
import { delaysDuring } from './loop-delay.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, ratioOf, spread, takeTurns } from './statistics.mjs'

const STEPS_PER_EPOCH = 10
const LONG_RUNS = 7 // beside the one that trains: as many as a page shows
const options = readOptions({ rounds: 10, steps: 200, clients: 50, dry: false })
const { rounds, steps, clients: count, dry } = options
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const dir = scratchDir()
const runs = join(dir, 'runs')

await trained() // draws the images and warms up
writeLongRuns()
const dashboard = spawn(
  process.execPath,
  [here('../dist/cli/main.js'), 'dashboard', runs, '--no-open'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
process.on('exit', () => dashboard.kill())
const address = await addressOf(dashboard)
const clients = new LineProcess('clients', process.execPath, [here('stalled-clients.mjs')])

const seen = { open: count, dropped: 0 }
const sides = await takeTurns(rounds, {
  alone: measured,
  watched: async () => {
    await clients.ask('come', { address, count })
    const result = await measured()
    const { open, dropped } = await clients.ask('leave')
    seen.open = Math.min(seen.open, open + dropped)
    seen.dropped += dropped
    return result
  },
})
clients.close()
dashboard.kill()

const of = (side, key) => sides[side].map((one) => one[key])
for (const side of Object.keys(sides)) {
  console.log(
    `${side.padEnd(8)} ${spread(of(side, 'seconds'), 3)} processor s, ` +
      `event loop p99 ${spread(of(side, 'p99'))} ms, max ${spread(of(side, 'max'))} ms`,
  )
}
const losses = new Set(Object.values(sides).flatMap((all) => all.map(({ loss }) => loss)))
const words =
  `${seen.open} of ${count} browsers in each round, ${seen.dropped} times one was dropped and came again; ` +
  `the loss is ${losses.size === 1 ? 'equal' : 'NOT equal'} in all rounds`
record(
  {
    claim: 'dashboard',
    setting: `${count} browsers that never read, toy model 64 px, ${steps} steps`,
    sample: `${rounds} rounds`,
    threads: 1,
    peer: figure('no browser', 's', of('alone', 'seconds')),
    ours: figure('stalled browsers', 's', of('watched', 'seconds')),
    ratio: ratioOf(of('watched', 'seconds'), of('alone', 'seconds')),
    also: Object.keys(sides).map((side) =>
      figure(`event loop p99, ${side}`, 'ms', of(side, 'p99')),
    ),
    check: { ok: seen.open >= count && losses.size === 1, text: words },
  },
  dry,
)

async function measured() {
  const before = process.cpuUsage()
  let loss
  const { p99, max } = await delaysDuring(async () => {
    loss = await trained()
  })
  const { user, system } = process.cpuUsage(before)
  return { seconds: (user + system) / 1e6, p99, max, loss }
}

/** A run of `steps` steps; -> its last loss. */
async function trained() {
  const name = 'training'
  rmSync(join(runs, name), { recursive: true, force: true })
  const { last } = await train({
    ...{ seed: 1, threads: 1, out: runs, name },
    data: {
      ...{ name: 'drawn-birds', root: join(dir, 'birds'), size: 64, resize: 64, padding: 4 },
      ...{ classes: 4, trainPerClass: 20, testPerClass: 2 },
    },
    model: { backbone: 'toy', head: 'linear', channelsPerClass: 4 },
    loss: { name: 'mc', alpha: 1, beta: 0.5 },
    optim: { lr: 0.02, epochs: steps / STEPS_PER_EPOCH, batchSize: 8 },
    checkpointEvery: steps,
  }).result
  return last.loss
}

/** The run's own epochs, 300 of them. */
function writeLongRuns() {
  const events = readFileSync(join(runs, 'training', 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
  const epochs = events.map((line) => JSON.parse(line)).filter(({ type }) => type === 'epoch')
  const lines = Array.from({ length: 300 }, (_, epoch) =>
    JSON.stringify({ ...epochs[epoch % epochs.length], epoch, epochs: 300 }),
  )
  for (let at = 0; at < LONG_RUNS; at++) {
    mkdirSync(join(runs, `long-${at}`))
    writeFileSync(join(runs, `long-${at}`, 'metrics.jsonl'), `${lines.join('\n')}\n`)
  }
}

async function addressOf({ stdout }) {
  let text = ''
  for await (const bytes of stdout) {
    text += bytes
    const [found] = /http:\/\/\S+/.exec(text) ?? []
    if (found) return found
  }
  throw new Error(`dashboard: it ended without an address: ${text}`)
}
