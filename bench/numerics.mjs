// The numerics rule of a training benchmark: at each of some steps both sides start from the peer's
// weights, batch and masks; the loss and every gradient must agree. Gradients do not cross the
// boundary: a fresh trainer with momentum and without weight decay holds exactly the gradient in its
// momentum buffers after one step, and saves them.
//
// A gradient passes when max |ours - peer| / max |peer| <= 1e-3, or when its largest error against a
// float64 run of the peer is at most twice the peer's own. The second way is needed where float32
// decides nothing: a bias before a batch norm (its true gradient is 0) and a ReLU or pooling tie that
// rounding turns the other way.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches } from './batches.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const LOSS_TOLERANCE = 1e-5
const GRADIENT_TOLERANCE = 1e-3
const TIMES_THE_PEERS_ERROR = 2

/** setting: {model, loss, size, batch, classes, threads}; -> {ok, text}. Prints a line a step. */
export async function checkNumerics(peer, setting, steps, dir) {
  const batches = makeBatches({ dir, ...setting })
  const model = modelOf(setting)
  const { threads } = setting
  await peer.ask('setup', {
    ...{ model, loss: lossOf(setting.loss), optim, shape: batches.shape, threads, mean, std, seed },
  })
  const worst = { loss: 0, difference: 0, norm: 0 }
  let failures = 0
  let byArbiter = 0
  for (let step = 0; step < steps; step++) {
    const weights = join(dir, 'weights.safetensors')
    await peer.ask('save', { path: weights })
    const reference = await peer.ask('reference', { step, ...masks(setting, step) })
    const ours = await oneStep(setting, batches.at(step), step, weights, join(dir, 'step'))
    const { tensors, norm, unexpected } = await peer.ask('compare', { path: ours.gradients })
    if (unexpected.length > 0) throw new Error(`numerics: unknown gradients ${unexpected}`)

    const loss = Math.abs(ours.loss - reference.loss) / Math.abs(reference.loss)
    const apart = tensors.filter((t) => !(t.difference <= GRADIENT_TOLERANCE))
    const failed = apart.filter((t) => !(t.worse <= TIMES_THE_PEERS_ERROR))
    const most = tensors.reduce((a, b) => (b.difference > a.difference ? b : a))
    byArbiter += apart.length - failed.length
    failures += failed.length + (loss <= LOSS_TOLERANCE ? 0 : 1)
    worst.loss = Math.max(worst.loss, loss)
    worst.difference = Math.max(worst.difference, most.difference)
    worst.norm = Math.max(worst.norm, norm.ours / norm.peer)
    console.log(
      `numerics ${setting.size} px step ${step}: loss peer ${reference.loss.toFixed(6)} ours ` +
        `${ours.loss.toFixed(6)} (float64 ${reference.loss64.toFixed(6)}); gradients: largest ` +
        `difference ${show(most.difference)} in ${most.name}; error against float64: peer ` +
        `${show(norm.peer)}, ours ${show(norm.ours)}; ${apart.length} of ${tensors.length} left ` +
        `to float64, ${failed.length} failed`,
    )
    for (const { name, difference, worse } of failed) {
      console.log(`  FAILED ${name}: difference ${show(difference)}, ${worse.toFixed(2)} x peer's`)
    }
  }
  const text =
    `${steps} steps ${setting.size} px b${setting.batch}: loss within ${show(worst.loss)}, ` +
    `gradients ${show(worst.difference)}, error ${worst.norm.toFixed(2)} x peer's, ` +
    `${byArbiter} by float64, ${failures} failed`
  return { ok: failures === 0, text }
}

/** One step of a fresh trainer from given weights; -> its loss and the file of its gradients. */
async function oneStep(setting, batch, step, weights, dir) {
  mkdirSync(dir, { recursive: true })
  const trainer = await native().NativeTrainer.create(nativeConfig(setting, { weightDecay: 0 }))
  try {
    await trainer.loadWeights(weights, { backboneOnly: false })
    await trainer.step(batch, { step, seed, lr: optim.lr })
    const { loss, n } = await trainer.stats()
    await trainer.save(dir, {})
    return { loss: loss / n, gradients: join(dir, 'optimizer.safetensors') }
  } finally {
    await trainer.dispose()
  }
}

/** The masks native draws in this step, for the peer. */
function masks({ model, loss, size, classes, batch }, step) {
  const dropout = { seed, step }
  if (loss === 'ce') return { mask: null, dropout }
  const { keep, maskScope } = lossOf(loss)
  const { channels } = native().mapShape(modelOf({ model, loss, size, classes }))
  const mask = native().cwaMask({ channels, classes, keep, maskScope, seed, step, samples: batch })
  return { mask: [...mask], dropout }
}

const show = (value) => value.toExponential(1)
