// Claim (numerics, the second rule): running free, each side from its own weights of the step before,
// our loss curve is one that PyTorch could have drawn. The peer runs three times: from the first
// weights, and from two copies with every weight one float up or down. All see the same batches,
// dropout and attention masks.
//
// Losses are compared as means over windows of 10 steps, since a single batch's loss jumps. Of a
// window, the peers' spread is the largest less the smallest of the three; runs that have drifted apart
// may still cross by chance, so the spread that counts is the largest up to this window, and at
// least ROUNDING of the loss. Our mean must lie within twice that spread of the peers' mean.
//
//   npm run bench -- free-run [--model vgg16_bn] [--loss mc] [--python PATH] [--dry]

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { masks } from './numerics.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './record.mjs'
import { figure, mean as meanOf, rounded } from './statistics.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const PEER_RUNS = 3
const TIMES_THE_SPREAD = 2
/** Of one step's loss in float32 (bench/numerics.mjs finds up to 1e-5 there). */
const ROUNDING = 1e-5

const options = readOptions({
  model: '', // left out: resnet50, then vgg16_bn
  loss: 'ce', // or mc
  channelsPerClass: 0,
  size: 64,
  batch: 8,
  classes: 10,
  steps: 100,
  window: 10,
  threads: availableParallelism(),
  python: 'python3',
  dry: false,
})
const { loss, channelsPerClass, size, batch, classes, steps, window, threads } = options
const torch = requirePython(options.python, ['safetensors', 'numpy'])
const dir = scratchDir()
for (const model of options.model ? [options.model] : ['resnet50', 'vgg16_bn']) {
  await compare({ model, loss, channelsPerClass, size, batch, classes, threads })
}

async function compare(setting) {
  const batches = makeBatches({ dir, ...setting })
  const weights = join(dir, 'weights.safetensors')
  const peer = startPeer(options.python, 'train_step.py')
  const peers = []
  for (let run = 0; run < PEER_RUNS; run++) peers.push(await runPeer(peer, batches, run, weights))
  peer.close()
  const ours = await runOurs(batches, weights)

  let worst = 0 // as a share of what is allowed
  let widest = 0
  const failed = []
  for (const [number, mine] of windowsOf(ours).entries()) {
    const theirs = peers.map((losses) => windowsOf(losses)[number])
    const middle = meanOf(theirs)
    widest = Math.max(widest, Math.max(...theirs) - Math.min(...theirs), ROUNDING * middle)
    const share = Math.abs(mine - middle) / (TIMES_THE_SPREAD * widest)
    worst = Math.max(worst, share)
    if (!(share <= 1)) failed.push(number)
    const end = Math.min((number + 1) * window, steps)
    console.log(
      `${setting.model} steps ${number * window + 1}..${end}: peers ` +
        `${theirs.map((value) => value.toFixed(5)).join(' ')}, ours ${mine.toFixed(5)}, ` +
        `apart ${Math.abs(mine - middle).toExponential(1)} of ${(TIMES_THE_SPREAD * widest).toExponential(1)}` +
        `${share <= 1 ? '' : '  FAILED'}`,
    )
  }
  const finite = ours.every(Number.isFinite)
  if (failed.length > 0 || !finite) process.exitCode = 1
  const name = `PyTorch ${torch}`
  const [theirs, mine] = [peers[0], ours].map(windowsOf)
  const first = `first ${window} steps`
  record(
    {
      claim: 'free-run',
      setting: `${setting.model} ${loss} ${size} px b${batch}, ${classes} classes, ${steps} steps`,
      sample: `${PEER_RUNS} peer runs`,
      threads,
      peer: figure(name, 'loss', theirs.at(-1)),
      ours: figure('mcloss', 'loss', mine.at(-1)),
      ratio: { value: rounded(worst) },
      also: [
        figure(`${name}, ${first}`, 'loss', theirs[0]),
        figure(`mcloss, ${first}`, 'loss', mine[0]),
        figure(`${name}, spread`, 'loss', widest),
      ],
      check: {
        ok: finite,
        text: finite
          ? `${failed.length} of ${mine.length} windows of ${window} steps outside`
          : 'a loss of ours is not finite',
      },
    },
    options.dry,
  )

  async function runPeer(process, { shape }, run, path) {
    await process.ask('setup', {
      ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape, threads, mean, std, seed },
    })
    if (run === 0) await process.ask('save', { path })
    else await process.ask('move', { seed: run })
    const losses = []
    for (let step = 0; step < steps; step++) {
      losses.push((await process.ask('free_step', { step, ...masks(setting, step) })).loss)
    }
    return losses
  }

  async function runOurs(batches, path) {
    const trainer = await native().NativeTrainer.create(nativeConfig(setting))
    await trainer.loadWeights(path, { backboneOnly: false })
    const losses = []
    for (let step = 0; step < steps; step++) {
      await trainer.step(batches.at(step), { step, seed, lr: optim.lr })
      const { loss: sum, n } = await trainer.stats()
      losses.push(sum / n)
    }
    await trainer.dispose()
    return losses
  }
}

/** Means over `window` steps each; the last window may be shorter. */
function windowsOf(losses) {
  const count = Math.ceil(losses.length / window)
  return Array.from({ length: count }, (_, i) => meanOf(losses.slice(i * window, (i + 1) * window)))
}
