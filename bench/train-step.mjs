// Claim (goal 4): a whole CPU training step, u8 pixels to statistics, is faster than PyTorch's at its
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
import { record } from './results.mjs'
import { median, spread, takeTurns } from './statistics.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, runSteps, seed, std } from './train-setup.mjs'

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
/** Of images/s against A, and what is aimed at, with cross entropy. */
const goals = { resnet50: [1.15, 1.25], vgg16_bn: [1.03, 1.08] }

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
const verdict = options.checkSteps > 0 ? await check() : { ok: false, text: 'left out' }

const { ok, text: checked } = verdict
const what = `${model}${channelsPerClass ? ` widened to ${classes * channelsPerClass}` : ''} ${loss}`
const [least, aim] = (loss === 'ce' && goals[model]) || []
console.log(`${what}, ${size} px, batch ${batch}, ${peer.parameters} parameters`)
for (const [name, turns] of Object.entries(measured)) {
  const values = turns.map(({ loss: value }) => value.toFixed(4)).join(' ')
  console.log(`${name.padEnd(5)} ${figures(name)} images/s, losses ${values}`)
}
if (compiled.failure) console.log(`B     ${compiled.failure}`)
const ratioA = ratioTo('A')
const ratioB = compiled.failure ?? ratioTo('B')
console.log(`ours / A  ${ratioA}`)
console.log(`ours / B  ${ratioB}`)
console.log(`first step ${Object.entries(firstStep).map(seconds).join(', ')}`)
console.log(`check ${ok ? 'passed' : 'FAILED: the speed is void'}: ${checked}`)
const b = compiled.failure
  ? `B: ${compiled.failure}`
  : `B: ${figures('B')} images/s (torch.compile, first step ${firstStep.B.toFixed(1)} s)`
record(
  {
    bench: 'train-step',
    setting: `${what} ${size} px b${batch}, ${rounds} rounds of ${steps} steps`,
    threads,
    peer: `A: ${figures('A')} images/s (PyTorch ${torch} eager); ${b}`,
    ours: `${figures('ours')} images/s, first step ${firstStep.ours.toFixed(1)} s`,
    ratio: `A: ${ratioA}; B: ${ratioB}`,
    goal: `${least ? `A >= ${least} (aim ${aim}); ` : ''}B aim >= 1.0`,
    check: `${ok ? 'passed' : 'VOID'}: ${checked}`,
  },
  options.dry,
)
if (!ok) process.exitCode = 1

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
    return { failure: `failed: ${reason.replaceAll('|', '/').slice(0, 200)}`, close() {} }
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

function turns(run) {
  let next = 0
  return async (count) => {
    const result = await run(next, count)
    next += count
    return result
  }
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

function figures(side) {
  return spread(speeds(side))
}

/** Of images/s, ours over the other side's. */
function ratioTo(side) {
  const [ours, others] = [speeds('ours'), speeds(side)]
  const byRound = ours.map((speed, round) => speed / others[round])
  return `${(median(ours) / median(others)).toFixed(3)}, by round ${spread(byRound, 3)}`
}

function seconds([side, value]) {
  return `${side} ${value.toFixed(1)} s`
}
