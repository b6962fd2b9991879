// Claim: a training step of B-CNN (VGG-16, 448 px, the bilinear head) takes no more time and memory than in
// plain PyTorch, which keeps the whole flattened matrix. Each round is a fresh process of each side, from
// the same weights and batches; the first step is not timed. The row is void unless the mean losses agree:
// the last layer learns at 1.0, so that they depend on the vectors and on their gradients.
//
//   npm run bench -- bilinear [--rounds 3] [--python PATH] [--dry]

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { runAlone } from './fresh-process.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'
import { lossOf, mean, nativeConfig, optim, seed, std } from './train-setup.mjs'

const options = readOptions({
  model: 'vgg16', // vgg16_bn toy
  size: 448,
  batch: 8,
  classes: 200,
  threads: 2,
  steps: 3, // of a process
  rounds: 3, // processes of each side
  python: 'python3',
  dry: false,
})
const { size, batch, classes, threads, steps, rounds } = options
const headLrScale = 1 / optim.lr
const LOSS_TOLERANCE = 1e-4

const torch = requirePython(options.python, ['safetensors', 'numpy'])
const dir = scratchDir()
const { shape } = makeBatches({ dir, size, batch, classes })
const given = nativeConfig({ ...options, loss: 'ce' })
const config = {
  ...given,
  model: { ...given.model, head: 'bilinear' },
  optim: { ...given.optim, headLrScale },
}
const weights = await initialWeights()
const { a: peer, b: ours } = await interleave(rounds, runPeer, runOurs)

const seconds = (results) => results.map(({ ms }) => ms / (steps - 1) / 1000)
const peaks = (results) => results.map(({ peak }) => peak / 1e6)
const setting = `${options.model} bilinear ${size} px b${batch}`
const apart = Math.max(...ours.map(({ loss }, i) => Math.abs(loss / peer[i].loss - 1)))
const check = {
  ok: apart <= LOSS_TOLERANCE,
  text: `mean losses of ${steps} steps from the same weights within ${apart.toExponential(1)}`,
}
for (const [name, results] of Object.entries({ peer, ours })) {
  console.log(
    `${name} ${spread(seconds(results))} s a step, ${spread(peaks(results), 0)} MB, ` +
      `loss ${results[0].loss.toFixed(6)}`,
  )
}
keep('bilinear-time', 's', seconds)
keep('bilinear-memory', 'MB', peaks)
if (!check.ok) process.exitCode = 1

function keep(claim, unit, of) {
  record(
    {
      ...{ claim, setting, threads, check },
      sample: `${steps} steps, ${rounds} processes`,
      peer: figure(`PyTorch ${torch}`, unit, of(peer)),
      ours: figure('mcloss', unit, of(ours)),
      ratio: ratioOf(of(ours), of(peer)),
    },
    options.dry,
  )
}

async function initialWeights() {
  const trainer = await native().NativeTrainer.create(config)
  await trainer.save(dir, {})
  await trainer.dispose()
  return join(dir, 'model.safetensors')
}

function runPeer() {
  const { model } = config
  return runAlone(options.python, peerScript('bilinear.py'), {
    ...{ model, loss: lossOf('ce'), optim, shape, threads, mean, std, seed },
    ...{ steps, headLrScale, weights },
  })
}

function runOurs() {
  const side = fileURLToPath(new URL('memory-ours.mjs', import.meta.url))
  return runAlone(process.execPath, side, { config, shape, steps, seed, lr: optim.lr, weights })
}
