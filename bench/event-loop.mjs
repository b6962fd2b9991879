// Claim: training leaves the event loop free. Trains the demo's configuration through the
// public API and measures the event loop's delay all the while: p99 minus the 1 ms of the timer
// that measures it. The peer is the same timer in the same process while nothing runs.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { demoConfig } from '../dist/demo.js'
import { train } from '../dist/index.js'
import { scratchDir } from './batches.mjs'
import { delaysDuring } from './loop-delay.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure } from './statistics.mjs'

const options = readOptions({
  loss: 'mc', // or ce
  epochs: 10,
  threads: availableParallelism(),
  dry: false,
})
const { loss, epochs, threads } = options
const dir = scratchDir()
const config = (count) =>
  demoConfig(loss, {
    ...{ root: join(dir, 'birds'), out: join(dir, 'runs') },
    ...{ seed: 0, threads, epochs: count },
  })

await run(1) // draws the images and warms up
const idle = await delaysDuring(() => setTimeout(2000))
let last
const busy = await delaysDuring(async () => {
  last = await run(epochs)
})
console.log(`idle      p50 ${idle.p50} p99 ${idle.p99} max ${idle.max} ms over the timer's 1 ms`)
console.log(`training  p50 ${busy.p50} p99 ${busy.p99} max ${busy.max} ms, ${busy.count} samples`)
console.log(`train loss ${last.train.loss.toFixed(4)}, test top-1 ${last.test?.top1}`)
record(
  {
    claim: 'event-loop',
    setting: `the demo's ${loss} run`,
    sample: `${epochs} epochs`,
    threads,
    peer: figure('idle, p99', 'ms', idle.p99),
    ours: figure('training, p99', 'ms', busy.p99),
    ratio: null,
    also: Object.entries({ idle, training: busy }).flatMap(([name, { p50, max }]) => [
      figure(`${name}, p50`, 'ms', p50),
      figure(`${name}, max`, 'ms', max),
    ]),
    check: { ok: true, text: `${busy.count} samples; train loss ${last.train.loss.toFixed(3)}` },
  },
  options.dry,
)

/** Trains as a user would, reading every event; -> the last epoch's event. */
async function run(count) {
  let epoch
  const training = train(config(count))
  for await (const event of training) if (event.type === 'epoch') epoch = event
  await training.result
  return epoch
}
