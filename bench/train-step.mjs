// Claim: a whole CPU training step, u8 pixels to statistics, is as fast as PyTorch's at its best
// settings (peer A: bench/peers/train_step.py) and computes the same. Two long-lived processes take
// turns; the speed is void if the numerics check fails.
//
//   npm run bench -- train-step [--model vgg16_bn] [--loss mc] [--python PATH] [--dry]

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { checkNumerics } from './numerics.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './results.mjs'
import { interleave, median, spread } from './statistics.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, runSteps, seed, std } from './train-setup.mjs'

const options = readOptions({
  model: 'resnet50', // resnet18 resnet50 vgg16 vgg16_bn
  loss: 'ce', // ce: torchvision's head; mc: the two-layer head
  size: 224,
  batch: 16,
  classes: 200,
  threads: availableParallelism(),
  rounds: 5,
  steps: 3, // a round
  warmup: 2, // steps of each side before the first round
  checkSteps: 20, // of the numerics rule; 0 leaves it out and voids the row
  python: 'python3', // the peer's
  dry: false, // print only
})
const torch = requirePython(options.python, ['safetensors', 'numpy'])
const dir = scratchDir()
const { model, loss, size, batch, classes, threads, rounds, steps, warmup } = options
const setting = { model, loss, size, batch, classes, threads }
console.log(
  `peer A: PyTorch ${torch} eager, channels_last, fp32, fused SGD; ${threads} threads each`,
)

const peer = startPeer(options.python, 'train_step.py')
const batches = makeBatches({ dir, ...setting })
const { form, parameters } = await peer.ask('setup', {
  ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape: batches.shape },
  ...{ threads, mean, std, seed },
})
if (form) console.log(`the peer's MC-Loss: the form '${form}' is the faster one here`)
const weights = join(dir, 'weights.safetensors')
await peer.ask('save', { path: weights })
const trainer = await native().NativeTrainer.create(nativeConfig(setting))
await trainer.loadWeights(weights, { backboneOnly: false })

// Both sides count their own steps and so see the same batches in the same order.
const sides = {
  peer: turns((first, count) => peer.ask('steps', { first, count })),
  ours: turns((first, count) => runSteps(trainer, batches, first, count)),
}
if (warmup > 0) {
  await sides.peer(warmup)
  await sides.ours(warmup)
}
const { a, b } = await interleave(rounds, measure('peer'), measure('ours'))
await trainer.dispose()
peer.close()

// After the timing, so that both sides are timed in fresh processes.
const verdict = options.checkSteps > 0 ? await check() : { ok: false, text: 'left out' }

const ratios = a.map((peers, i) => peers.ms / b[i].ms)
const speed = (side) => side.map(({ ms }) => (1000 * batch * steps) / ms)
const ratio = median(speed(b)) / median(speed(a))
const goal = loss === 'ce' ? { resnet50: 0.97, vgg16_bn: 0.97 }[model] : undefined
const { ok, text: checked } = verdict
console.log(`${model} ${loss}, ${size} px, batch ${batch}, ${parameters} parameters`)
console.log(`peer  ${spread(speed(a))} images/s, losses ${losses(a)}`)
console.log(`ours  ${spread(speed(b))} images/s, losses ${losses(b)}`)
console.log(`ratio ${ratio.toFixed(3)} (by round ${spread(ratios, 3)})`)
console.log(`check ${ok ? 'passed' : 'FAILED: the speed is void'}: ${checked}`)
record(
  {
    bench: 'train-step',
    setting: `${model} ${loss} ${size} px b${batch}, ${rounds} rounds of ${steps} steps`,
    threads,
    peer: `${spread(speed(a))} images/s (PyTorch ${torch} eager)`,
    ours: `${spread(speed(b))} images/s`,
    ratio: `${ratio.toFixed(3)}, by round ${spread(ratios, 3)}`,
    goal: goal ? `>= ${goal}` : '-',
    check: `${ok ? 'passed' : 'VOID'}: ${checked}`,
  },
  options.dry,
)
if (!ok) process.exitCode = 1

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
      `${side}  ${(result.ms / steps).toFixed(0)} ms a step, loss ${result.loss.toFixed(4)}`,
    )
    return result
  }
}

function losses(side) {
  return side.map(({ loss: value }) => value.toFixed(4)).join(' ')
}
