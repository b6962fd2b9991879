// Claim: a whole CPU training step, u8 pixels to statistics, is faster than PyTorch's at its
// best settings (peer A: bench/peers/train_step.py) and computes the same; peer B is A under
// torch.compile. Three long-lived processes take turns; the speed is void if the numerics check fails.
//
//   npm run bench -- train-step [--model vgg16_bn] [--loss mc] [--python PATH] [--dry]
//   npm run bench -- train-step --model resnet18 --channelsPerClass 3      the widened ResNet-18

import { availableParallelism } from 'node:os'
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
  batch: 16,
  classes: 200,
  threads: availableParallelism(),
  rounds: 5,
  steps: 3, // a round
  warmup: 2, // steps of each side before the first round, its first one included
  compile: 'true', // false: without peer B
  checkSteps: 20, // of the numerics rule; 0 leaves it out and voids the row
  python: 'python3', // the peers'
  dry: false, // print only
})

const torch = requirePython(options.python, ['safetensors', 'numpy'])
const dir = scratchDir()
const { model, loss, channelsPerClass, size, batch, classes, threads, rounds, steps } = options
const setting = { model, loss, channelsPerClass, size, batch, classes, threads }
console.log(
  `peer A: PyTorch ${torch} eager, channels_last, fp32, fused SGD; ${threads} threads each`,
)

const batches = makeBatches({ dir, ...setting })
const peer = await setUpPeer('A')
const weights = join(dir, 'weights.safetensors')
await peer.process.ask('save', { path: weights })
if (peer.form) console.log(`the peer's MC-Loss: the form '${peer.form}' is the faster one here`)
const trainer = await native().NativeTrainer.create(nativeConfig(setting))
await trainer.loadWeights(weights, { backboneOnly: false })

// Every side counts its own steps and so sees the same batches in the same order.
const sides = {
  A: turns(peer.steps),
  ours: turns((first, count) => runSteps(trainer, batches, first, count)),
}
const firstStep = {}
await warmUp('A')
await warmUp('ours')
const compiled = await startCompiled()
const measured = await takeTurns(
  rounds,
  Object.fromEntries(Object.keys(sides).map((name) => [name, measure(name)])),
)
await trainer.dispose()
peer.process.close()
compiled.close()

// After the timing, so that all sides are timed in fresh processes.
const verdict =
  options.checkSteps > 0 ? await check() : { ok: false, text: 'the numerics were not checked' }

const what = `${model}${channelsPerClass ? ` widened to ${classes * channelsPerClass}` : ''} ${loss}`
console.log(`${what}, ${size} px, batch ${batch}, ${peer.parameters} parameters`)
for (const [name, turns] of Object.entries(measured)) {
  const values = turns.map(({ loss: value }) => value.toFixed(4)).join(' ')
  console.log(`${name.padEnd(5)} ${spread(speeds(name))} images/s, losses ${values}`)
}
if (compiled.failure) console.log(`B     ${compiled.failure}`)
const names = { ours: 'mcloss', A: `PyTorch ${torch} eager`, B: `PyTorch ${torch} torch.compile` }
for (const [claim, side] of Object.entries({ 'step-eager': 'A', 'step-compiled': 'B' })) {
  if (side in measured) keep(claim, side)
}
if (!verdict.ok) process.exitCode = 1

/** The row against one side. */
function keep(claim, side) {
  record(
    {
      claim,
      setting: `${what} ${size} px b${batch}`,
      sample: `${rounds} rounds of ${steps} steps`,
      threads,
      peer: figure(names[side], 'images/s', speeds(side)),
      ours: figure(names.ours, 'images/s', speeds('ours')),
      ratio: ratioOf(speeds('ours'), speeds(side)),
      also: ['ours', side].map((one) => figure(`${names[one]}, first step`, 's', firstStep[one])),
      check: verdict,
      ...(compiled.failure && { text: `torch.compile: ${compiled.failure}` }),
    },
    options.dry,
  )
}

/** A peer process with the model in it; compiled: as B. */
async function setUpPeer(name, compiled = false) {
  const process = startPeer(options.python, 'train_step.py', name)
  const made = await process.ask('setup', {
    ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape: batches.shape },
    ...{ threads, mean, std, seed, compiled },
  })
  return { process, ...made, steps: (first, count) => process.ask('steps', { first, count }) }
}

/** Adds side B, or says why there is none. */
async function startCompiled() {
  if (options.compile !== 'true') return { failure: 'left out', close() {} }
  process.env.TORCHINDUCTOR_CACHE_DIR = join(dir, 'compiled') // its first step compiles
  let other
  try {
    other = await setUpPeer('B', true)
    sides.B = turns(other.steps)
    await warmUp('B')
    return { close: () => other.process.close() }
  } catch (error) {
    delete sides.B
    other?.process.close()
    const [reason] = error.message.split('\n')
    return { failure: `failed: ${reason.slice(0, 200)}`, close() {} }
  }
}

/** The first step apart: it makes oneDNN's kernels and momentum, and compiles B. */
async function warmUp(side) {
  const began = performance.now()
  await sides[side](1)
  firstStep[side] = (performance.now() - began) / 1000
  if (options.warmup > 1) await sides[side](options.warmup - 1)
}

async function check() {
  const checked = startPeer(options.python, 'train_step.py')
  const result = await checkNumerics(checked, setting, options.checkSteps, dir)
  checked.close()
  return result
}

function measure(side) {
  return async () => {
    const result = await sides[side](steps)
    console.log(
      `${side.padEnd(5)} ${(result.ms / steps).toFixed(0)} ms a step, loss ${result.loss.toFixed(4)}`,
    )
    return result
  }
}

function speeds(side) {
  return measured[side].map(({ ms }) => (1000 * batch * steps) / ms)
}
