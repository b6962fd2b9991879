// Claim: a whole training step on a GPU, u8 pixels there to statistics, in bfloat16, is faster than
// PyTorch's and computes the same. Peers (bench/peers/train_step_gpu.py): A eager, G the same captured in a
// CUDA graph, B under torch.compile. Long-lived processes take turns; the speed is void if the numerics
// check fails.
//
//   npm run bench -- train-step-gpu [--model vgg16] [--loss mc] [--size 448] [--python PATH] [--dry]

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { checkNumerics } from './numerics.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './record.mjs'
import { figure, ratioOf, spread, takeTurns } from './statistics.mjs'
import {
  lossOf,
  mean,
  modelOf,
  nativeConfig,
  optim,
  runSteps,
  seed,
  std,
  turns,
} from './train-setup.mjs'

const options = readOptions({
  model: 'resnet50', // resnet18 resnet50 vgg16 vgg16_bn
  loss: 'ce', // ce: torchvision's head; mc: the two-layer head
  channelsPerClass: 0, // > 0: the last stage widened to classes * this
  size: 224,
  batch: 32,
  classes: 200,
  rounds: 5,
  steps: 100, // a round
  warmup: 12, // steps of each side before the first round, its recording or compilation included
  peers: 'eager,graph,compiled',
  checkSteps: 8, // of the numerics rule; 0 leaves it out and voids the row
  checkBatch: 8, // float64 takes memory
  python: 'python3', // the peers'
  dry: false, // print only
})

const torch = requirePython(options.python, ['safetensors', 'numpy'])
native().checkDevice('cuda')
const dir = scratchDir()
const { model, loss, channelsPerClass, size, batch, classes, rounds, steps, warmup } = options
const setting = { model, loss, channelsPerClass, size, batch, classes, threads: 4, device: 'cuda' }
const claims = { eager: 'step-gpu-eager', graph: 'step-gpu-graph', compiled: 'step-gpu-compiled' }

const batches = makeBatches({ dir, ...setting })
const trainer = await native().NativeTrainer.create(nativeConfig(setting))
const store = await residentStore(batches.shape)
const failures = {}
const peers = await startPeers()
const first = Object.values(peers)[0]
if (first === undefined) throw new Error(`train-step-gpu: no peer: ${JSON.stringify(failures)}`)
const weights = join(dir, 'weights.safetensors')
await first.process.ask('save', { path: weights })
await trainer.loadWeights(weights, { backboneOnly: false })

// Every side counts its own steps and so sees the same batches in the same order.
const sides = {
  ours: turns((from, count) => runSteps(trainer, { at: fromStore }, from, count)),
  ...Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, turns(peer.steps)])),
}
const began = {}
for (const [name, run] of Object.entries(sides)) {
  const start = performance.now()
  await run(warmup)
  began[name] = (performance.now() - start) / 1000
}
const measured = await takeTurns(
  rounds,
  Object.fromEntries(Object.entries(sides).map(([name, run]) => [name, () => run(steps)])),
)
const rates = await first.process.ask('rates', {})
await trainer.dispose()
native().closeStore(store)
for (const { process } of Object.values(peers)) process.close()

// After the timing, so that all sides are timed in fresh processes.
const verdict = await check()
const what = `${model}${channelsPerClass ? ` widened to ${classes * channelsPerClass}` : ''} ${loss}`
console.log(`${what}, ${size} px, batch ${batch}, bf16, ${first.parameters} parameters`)
for (const name of Object.keys(sides)) {
  const losses = measured[name].map(({ loss: value }) => value.toFixed(4)).join(' ')
  console.log(
    `${name.padEnd(8)} ${spread(speeds(name))} images/s, first ${warmup} steps ${began[name].toFixed(1)} s, ` +
      `losses ${losses}`,
  )
}
console.log(
  `copies at ${(rates.bytesPerSecond / 1e12).toFixed(2)} TB/s, bf16 products at ` +
    `${(rates.flopPerSecond / 1e12).toFixed(0)} TFLOP/s`,
)
for (const [name, reason] of Object.entries(failures)) console.log(`${name.padEnd(8)} ${reason}`)
for (const [name, claim] of Object.entries(claims)) {
  if (name in peers) keep(claim, name)
}
if (!verdict.ok) process.exitCode = 1

/** The row against one side. */
function keep(claim, side) {
  record(
    {
      claim,
      setting: `${what} ${size} px b${batch} bf16`,
      sample: `${rounds} rounds of ${steps} steps`,
      threads: null,
      peer: figure(`PyTorch ${torch} ${side}`, 'images/s', speeds(side)),
      ours: figure('mcloss', 'images/s', speeds('ours')),
      ratio: ratioOf(speeds('ours'), speeds(side)),
      also: [
        ...['ours', side].map((one) => figure(`${one}, first ${warmup} steps`, 's', began[one])),
        figure('large copy', 'TB/s', rates.bytesPerSecond / 1e12),
        figure('bf16 product', 'TFLOP/s', rates.flopPerSecond / 1e12),
      ],
      check: verdict,
      gpu: first.gpu,
    },
    options.dry,
  )
}

async function startPeers() {
  process.env.TORCHINDUCTOR_CACHE_DIR ??= join(dir, 'compiled')
  const started = {}
  for (const form of options.peers.split(',')) {
    const peer = startPeer(options.python, 'train_step_gpu.py', form)
    try {
      const made = await peer.ask('setup', {
        ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape: batches.shape },
        ...{ threads: setting.threads, mean, std, seed, form },
      })
      const run = (from, count) => peer.ask('steps', { first: from, count })
      await run(0, 1) // compiles
      started[form] = { process: peer, ...made, steps: run }
    } catch (error) {
      peer.close()
      failures[form] = `failed: ${error.message.split('\n')[0].slice(0, 200)}`
    }
  }
  return started
}

/** The images of the batches on the GPU, as a run keeps them where they fit. */
function residentStore({ files, side, batches: count }) {
  const images = count * batch
  const fileBytes = readFileSync(files.pixels).length
  const layout = { count: images, height: side, width: side, offset: 0, fileBytes, mode: 'gpu' }
  return native().openStore({ path: files.pixels, ...layout })
}

function fromStore(step) {
  const { windows, labels } = batches.at(step)
  const begin = (step % batches.shape.batches) * batch
  const rows = Int32Array.from({ length: batch }, (_, i) => begin + i)
  return { store, rows, count: batch, windows, labels }
}

async function check() {
  if (options.checkSteps === 0) return { ok: false, text: 'the numerics were not checked' }
  const checked = startPeer(options.python, 'train_step_gpu.py')
  const of = { ...setting, batch: options.checkBatch }
  const result = await checkNumerics(checked, of, options.checkSteps, dir)
  checked.close()
  return result
}

function speeds(side) {
  return measured[side].map(({ ms }) => (1000 * batch * steps) / ms)
}
