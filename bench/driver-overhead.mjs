// Claim: driving the trainer from Node.js costs nothing: the same steps driven by a C++
// program that links the same objects (bench/driver.cpp) are at most 1 % faster. Same initial
// weights, batches, threads; where the losses differ the row is void.
//
//   npm run bench -- driver-overhead [--rounds 9] [--steps 0] [--threads N] [--dry]

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { LineProcess } from './line-process.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'
import { nativeConfig, runSteps } from './train-setup.mjs'

const options = readOptions({
  rounds: 9,
  steps: 0, // a round; 0: enough for about a second
  threads: availableParallelism(),
  dry: false,
})
const driver = fileURLToPath(new URL('../build/Release/bench_driver', import.meta.url))
if (!existsSync(driver)) {
  console.error(
    `driver-overhead: ${driver} is not there. Run it as npm run bench -- driver-overhead, or build ` +
      'it with: node scripts/setup/build.mjs --bench',
  )
  process.exit(1)
}
const dir = scratchDir()
const { threads } = options

for (const model of [
  { backbone: 'toy', head: 'linear', size: 64, batch: 8 }, // overhead is most of it, if any
  { backbone: 'resnet18', head: 'torchvision', size: 112, batch: 16 },
]) {
  await compare(model)
}

async function compare({ backbone, head, size, batch }) {
  const classes = 20
  const batches = makeBatches({ dir, size, batch, classes })
  const setting = { model: backbone, loss: 'ce', size, classes, threads }
  const config = nativeConfig(setting)
  config.model.head = head
  const trainer = await native().NativeTrainer.create(config)
  const { files, side, batches: count } = batches.shape
  const peer = new LineProcess('driver', driver, [])
  await peer.ask('setup', {
    ...{ backbone, head, classes, size, side, batch, batches: count, threads },
    ...files,
  })

  let [peerNext, ourNext] = [0, 0]
  const runPeer = async (n) => {
    const result = await peer.ask('steps', { first: peerNext, count: n })
    peerNext += n
    return result
  }
  const runOurs = async (n) => {
    const result = await runSteps(trainer, batches, ourNext, n)
    ourNext += n
    return result
  }
  await runPeer(10)
  await runOurs(5)
  const warm = await runOurs(5)
  const steps = options.steps || Math.max(5, Math.ceil(1000 / (warm.ms / 5)))
  const { a, b } = await interleave(
    options.rounds,
    () => runPeer(steps),
    () => runOurs(steps),
  )
  await trainer.dispose()
  peer.close()

  const perStep = (rounds) => rounds.map(({ ms }) => ms / steps)
  const equal = a.every(({ loss }, i) => Math.abs(loss - b[i].loss) <= 1e-6 * Math.abs(loss))
  const name = `${backbone} ${size} px b${batch}`
  console.log(`${name}: C++ ${spread(perStep(a), 3)} ms, Node ${spread(perStep(b), 3)} ms a step`)
  console.log(`losses ${a.at(-1).loss} ${b.at(-1).loss}`)
  record(
    {
      claim: 'driver-overhead',
      setting: name,
      sample: `${options.rounds} rounds of ${steps} steps`,
      threads,
      peer: figure('C++', 'ms', perStep(a)),
      ours: figure('Node', 'ms', perStep(b)),
      ratio: ratioOf(perStep(b), perStep(a)),
      check: { ok: equal, text: equal ? 'losses equal to 1e-6' : 'the losses differ' },
    },
    options.dry,
  )
  if (!equal) process.exitCode = 1
}
