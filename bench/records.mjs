// Claim: the records that a run writes beside metrics.jsonl cost below 1 % of its steps. Trains the demo's
// configuration through the public API, keeps its events, and hands them once more to the records
// alone, into another folder: processor time of this process, all its threads, per step.

import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { demoConfig } from '../dist/demo.js'
import { train } from '../dist/index.js'
import { recordsOf } from '../dist/records/index.js'
import { scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, median, rounded, spread } from './statistics.mjs'

const options = readOptions({
  loss: 'mc', // or ce
  epochs: 5,
  rounds: 9, // times that the records are written
  threads: availableParallelism(),
  dry: false,
})
const { loss, epochs, rounds, threads } = options
const dir = scratchDir()
const birds = { root: join(dir, 'birds'), out: join(dir, 'runs'), seed: 0, threads }
await train(demoConfig(loss, { ...birds, epochs: 1 })).result // draws the images and warms up

const events = []
const trainSeconds = await processorSeconds(async () => {
  const run = train(demoConfig(loss, { ...birds, epochs }))
  for await (const event of run) events.push(event)
  await run.result
})
const last = events.findLast(({ type }) => type === 'epoch')
const step = (1000 * trainSeconds) / last.step

const begun = []
const written = []
for (let round = 0; round < rounds; round++) {
  const records = recordsOf({ tensorboard: true })
  begun.push(1000 * (await processorSeconds(() => begin(records, join(dir, `records-${round}`)))))
  const seconds = await processorSeconds(() => {
    for (const event of events) records.see(event)
    return records.close()
  })
  written.push((1000 * seconds) / last.step)
}
console.log(`a step         ${step.toFixed(2)} ms of processor time, evaluation included`)
console.log(`its records    ${spread(written, 4)} ms`)
console.log(`the beginning  ${spread(begun)} ms, once a run`)
record(
  {
    claim: 'records-time',
    setting: `the demo's ${loss} run, logEvery 10`,
    sample: `${last.step} steps, written ${rounds} times`,
    threads,
    peer: figure('a step', 'ms', step),
    ours: figure('its records', 'ms', written),
    ratio: { value: rounded(median(written) / step) },
    also: [figure('the beginning, once a run', 'ms', begun)],
    check: { ok: true, text: `${events.length} events; train loss ${last.train.loss.toFixed(3)}` },
  },
  options.dry,
)

async function begin(records, runDir) {
  mkdirSync(runDir)
  await records.open(runDir, {
    ...{ config: demoConfig(loss, { ...birds, epochs }), device: 'cpu', threads },
    ...{ epoch: 0, step: 0, firstStep: 1, stepsPerEpoch: last.step / epochs },
  })
}

async function processorSeconds(work) {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
