// The numerics rule of a training benchmark: at each of some steps both sides start from the peer's
// weights, batch and masks; the loss and every gradient must agree. Gradients do not cross the
// boundary: a fresh trainer with momentum and without weight decay holds exactly the gradient in
// its momentum buffers after one step, and saves them.
//
// The tolerance of a gradient is measured, since float32 alone decides how many ReLU and pooling
// ties fall the other way: a twin of the peer whose weights differ by one ulp. Differences are 2-norms,
// as shares of the norm of the whole gradient, so that a gradient which is nothing but rounding (of a
// bias before a batch norm, in truth 0) is held against the rounding of the twin, not against itself.
// In the first EXACT_STEPS steps the peer also computes in float64; there our loss and whole gradient lie
// at most TIMES_THE_PEERS of the peer's distance from it. In bfloat16, on a GPU, both distances are noise
// of one size: over three steps ours was 1.4, 1.3, 0.6 and 0.05 times the peer's in four settings. Over
// the steps, our largest difference from the peer is at most TIMES_THE_TWINS of the twin's largest, or
// what two sides may differ that are that far from float64, or ROUNDING: for every tensor and for all
// together. A tensor also agrees where its own relative difference is within ONE_TIE, what one tie in a
// late layer can do. The loss is held alike, with LOSS_TOLERANCE.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches } from './batches.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const LOSS_TOLERANCE = 1e-5
const TIMES_THE_TWINS = 3
const EXACT_STEPS = { fp32: 5, bf16: 8 }
const TIMES_THE_PEERS = { fp32: 1.25, bf16: 2 }
const ONE_TIE = 0.01
const ROUNDING = 1e-5

/** setting: {model, loss, size, batch, classes, threads, device}; -> {ok, text}. Prints a line a step. */
export async function checkNumerics(peer, setting, steps, dir) {
  const batches = makeBatches({ dir, ...setting })
  const model = modelOf(setting)
  const { threads } = setting
  const { precision } = nativeConfig(setting)
  const timesThePeers = TIMES_THE_PEERS[precision]
  await peer.ask('setup', {
    ...{ model, loss: lossOf(setting.loss), optim, shape: batches.shape, threads, mean, std, seed },
  })
  const largest = new Map() // by tensor name, over the steps
  const worstLoss = { ours: 0, twin: 0 } // relative
  let fromExact = 0 // of our whole gradient
  const lossFromExact = { ours: 0, peer: 0 } // relative
  for (let step = 0; step < steps; step++) {
    const weights = join(dir, 'weights.safetensors')
    await peer.ask('save', { path: weights })
    const exact = step < EXACT_STEPS[precision]
    const reference = await peer.ask('reference', { step, exact, ...masks(setting, step) })
    const ours = await oneStep(setting, batches.at(step), step, weights, join(dir, 'step'))
    const { tensors, unexpected } = await peer.ask('compare', { path: ours.gradients })
    if (unexpected.length > 0) throw new Error(`numerics: unknown gradients ${unexpected}`)

    for (const [side, loss] of exact
      ? Object.entries({ ours: ours.loss, peer: reference.loss })
      : []) {
      const apart = Math.abs(loss / reference.exactLoss - 1)
      lossFromExact[side] = Math.max(lossFromExact[side], apart)
    }
    for (const [side, loss] of [
      ['ours', ours.loss],
      ['twin', reference.twinLoss],
    ]) {
      worstLoss[side] = Math.max(worstLoss[side], Math.abs(loss / reference.loss - 1))
    }
    const all = tensors.at(-1)
    fromExact = Math.max(fromExact, all.fromExact ?? 0)
    for (const { name, norm, ours: apart, twin, exact: peerApart = 0 } of tensors) {
      const share = (value) => (value * norm) / all.norm
      const before = largest.get(name) ?? { ours: 0, share: 0, twin: 0, exact: 0 }
      largest.set(name, {
        ours: Math.max(before.ours, apart),
        share: Math.max(before.share, share(apart)),
        twin: Math.max(before.twin, share(twin)),
        exact: Math.max(before.exact, share(peerApart)),
      })
    }
    console.log(
      `numerics step ${step}: loss peer ${reference.loss.toFixed(6)} ours ${ours.loss.toFixed(6)} ` +
        `twin ${reference.twinLoss.toFixed(6)}; gradient differs by ${show(all.ours)}, the twin's ` +
        `by ${show(all.twin)}`,
    )
  }
  const failed = [...largest].filter(([name, apart]) => !agrees(name, apart, timesThePeers))
  for (const [name, { ours, share, twin, exact }] of failed) {
    console.log(
      `  FAILED ${name || 'all'}: differs by ${show(ours)}, ${show(share)} of the whole gradient; ` +
        `the twin by ${show(twin)} of it, float64 by ${show(exact)}`,
    )
  }
  const whole = largest.get('')
  const ok =
    failed.length === 0 &&
    fromExact <= timesThePeers * whole.exact &&
    lossFromExact.ours <= Math.max(LOSS_TOLERANCE, timesThePeers * lossFromExact.peer) &&
    worstLoss.ours <= allowed(worstLoss.twin, lossFromExact.peer, LOSS_TOLERANCE, timesThePeers)
  const text =
    `${steps} steps: losses within ${show(worstLoss.ours)} (one-ulp twin ` +
    `${show(worstLoss.twin)}; from float64 ours ${show(lossFromExact.ours)}, peer ` +
    `${show(lossFromExact.peer)}), gradient within ${show(whole.ours)} ` +
    `(one-ulp twin ${show(whole.twin)}; from float64 ours ${show(fromExact)}, peer ` +
    `${show(whole.exact)}), ${failed.length} of ${largest.size - 1} tensors failed`
  return { ok, text }
}

/** How far we may be from the peer where its twin is `twin` and float64 is `exact` from it. */
function allowed(twin, exact, rounding, timesThePeers) {
  return Math.max(TIMES_THE_TWINS * twin, (1 + timesThePeers) * exact, rounding)
}

/** The largest differences of one tensor, or of all (name ''). */
function agrees(name, { ours, share, twin, exact }, timesThePeers) {
  if (name !== '' && ours <= ONE_TIE) return true
  return share <= allowed(twin, exact, ROUNDING, timesThePeers)
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
export function masks(setting, step) {
  const { loss, classes, batch } = setting
  const dropout = { seed, step }
  if (loss === 'ce') return { mask: null, dropout }
  const { keep, maskScope } = lossOf(loss)
  const { channels } = native().mapShape(modelOf(setting))
  const mask = native().cwaMask({ channels, classes, keep, maskScope, seed, step, samples: batch })
  return { mask: [...mask], dropout }
}

const show = (value) => value.toExponential(1)
