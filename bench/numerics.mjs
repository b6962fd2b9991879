// The numerics rule of a training benchmark: at each of some steps both sides start from the peer's
// weights, batch and masks; the loss and every gradient must agree. Gradients do not cross the
// boundary: a fresh trainer with momentum and without weight decay holds exactly the gradient in
// its momentum buffers after one step, and saves them.
//
// The tolerance of a gradient is measured, since float32 alone decides how many ReLU and pooling
// ties fall the other way: a twin of the peer whose weights differ by one ulp. Differences are 2-norms,
// as shares of the norm of the whole gradient, so that a gradient which is nothing but rounding (of a
// bias before a batch norm, in truth 0) is held against the rounding of the twin, not against itself.
// Over the steps, our largest difference from the peer is at most TIMES_THE_TWINS of the twin's
// largest, or at most ROUNDING, for every tensor and for all together. In the first EXACT_STEPS steps the
// peer also computes in float64, and our loss and gradient lie at most TIMES_THE_PEERS of the peer's
// differences from it. A tensor also agrees where its own relative difference is within ONE_TIE, what one tie in a
// late layer can do. The loss is within LOSS_TOLERANCE, or TIMES_THE_TWINS of the twin's
// difference, or what two sides may differ that are as far from float64 as the peer is.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { makeBatches } from './batches.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const LOSS_TOLERANCE = 1e-5
const TIMES_THE_TWINS = 3
const EXACT_STEPS = 5
const TIMES_THE_PEERS = 1.25
const ONE_TIE = 0.01
const ROUNDING = 1e-5

/** setting: {model, loss, size, batch, classes, threads}; -> {ok, text}. Prints a line a step. */
export async function checkNumerics(peer, setting, steps, dir) {
  const batches = makeBatches({ dir, ...setting })
  const model = modelOf(setting)
  const { threads } = setting
  await peer.ask('setup', {
    ...{ model, loss: lossOf(setting.loss), optim, shape: batches.shape, threads, mean, std, seed },
  })
  const largest = new Map() // by tensor name, over the steps
  const worstLoss = { ours: 0, twin: 0 } // relative
  const fromExact = { ours: 0, peer: 0 } // of the whole gradient
  const lossFromExact = { ours: 0, peer: 0 } // relative
  for (let step = 0; step < steps; step++) {
    const weights = join(dir, 'weights.safetensors')
    await peer.ask('save', { path: weights })
    const exact = step < EXACT_STEPS
    const reference = await peer.ask('reference', { step, exact, ...masks(setting, step) })
    const ours = await oneStep(setting, batches.at(step), step, weights, join(dir, 'step'))
    const compared = await peer.ask('compare', { path: ours.gradients })
    const { tensors, unexpected } = compared
    if (unexpected.length > 0) throw new Error(`numerics: unknown gradients ${unexpected}`)
    for (const [side, apart] of Object.entries(compared.fromExact ?? {})) {
      fromExact[side] = Math.max(fromExact[side], apart)
    }

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
    for (const { name, norm, ours: apart, twin } of tensors) {
      const before = largest.get(name) ?? { ours: 0, share: 0, twinShare: 0 }
      largest.set(name, {
        ours: Math.max(before.ours, apart),
        share: Math.max(before.share, (apart * norm) / all.norm),
        twinShare: Math.max(before.twinShare, (twin * norm) / all.norm),
      })
    }
    console.log(
      `numerics step ${step}: loss peer ${reference.loss.toFixed(6)} ours ${ours.loss.toFixed(6)} ` +
        `twin ${reference.twinLoss.toFixed(6)}; gradient differs by ${show(all.ours)}, the twin's ` +
        `by ${show(all.twin)}`,
    )
  }
  const failed = [...largest].filter(([name, apart]) => !agrees(name, apart))
  for (const [name, { ours, share, twinShare }] of failed) {
    console.log(
      `  FAILED ${name || 'all'}: differs by ${show(ours)}, ${show(share)} of the whole gradient; ` +
        `the twin by ${show(twinShare)} of it`,
    )
  }
  const whole = largest.get('')
  const lossLimit = Math.max(
    LOSS_TOLERANCE,
    TIMES_THE_TWINS * worstLoss.twin,
    (1 + TIMES_THE_PEERS) * lossFromExact.peer,
  )
  const ok =
    failed.length === 0 &&
    worstLoss.ours <= lossLimit &&
    lossFromExact.ours <= Math.max(LOSS_TOLERANCE, TIMES_THE_PEERS * lossFromExact.peer) &&
    fromExact.ours <= TIMES_THE_PEERS * fromExact.peer
  const text =
    `${steps} steps: losses within ${show(worstLoss.ours)} (one-ulp twin ` +
    `${show(worstLoss.twin)}; from float64 ours ${show(lossFromExact.ours)}, peer ` +
    `${show(lossFromExact.peer)}), gradient within ${show(whole.ours)} ` +
    `(one-ulp twin ${show(whole.twinShare)}), from float64 ours ${show(fromExact.ours)}, peer ` +
    `${show(fromExact.peer)}, ${failed.length} of ${largest.size - 1} tensors failed`
  return { ok, text }
}

/** The largest differences of one tensor, or of all (name ''). */
function agrees(name, { ours, share, twinShare }) {
  if (name !== '' && ours <= ONE_TIE) return true
  return share <= Math.max(TIMES_THE_TWINS * twinShare, ROUNDING)
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
