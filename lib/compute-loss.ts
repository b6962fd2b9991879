// A loss on its last layer, once, as a function on plain arrays, so that anyone can hold it against
// another implementation; mc-loss.ts does it for the MC-Loss. It runs what a training step runs.

import { z } from 'zod'
import { checkArgument, count, record } from './arguments.js'
import { type ComputeLossResult, native } from './binding.js'
import { configError } from './config/errors.js'
import type { ConfigInput } from './config/index.js'
import { classifierOf, lossForClasses, resolveLoss, scalarOf } from './config/losses/index.js'
import { schema } from './config/schema.js'
import { McLossError } from './errors.js'

type Floats = Float32Array | Float64Array

export interface ComputeLossOptions {
  /** As in a configuration, with its defaults; any but mc. */
  loss: ConfigInput['loss']
  /** x, row-major [N, D]: the input of the last layer. */
  embedding: Floats
  /** [N, D] */
  shape: readonly [number, number]
  /**
   * The last layer: weight [K * D], row-major; for lgm the means. bias [K], of linear layers alone;
   * left out: zeros. Arrays of the embedding's type.
   */
  classifier: { weight: Floats; bias?: Floats }
  /** [N], 0..numClasses-1. */
  target: Int32Array
  /** K. */
  numClasses: number
  /** For the schedules of a-softmax and lgm: a step of the run. Default 0, where lgm's alpha is 0. */
  step?: number
  /** The steps of the run. Default: `step + 1`, as if `step` were the last one. */
  totalSteps?: number
  /** The centres of center before the step, [K * D]; left out: zeros, as a run begins. */
  state?: { centres: Floats }
  /** Also return the gradients of `loss`. Default false. */
  grad?: boolean
}

const floats = z.union(
  [z.instanceof(Float32Array), z.instanceof(Float64Array)],
  'expected a Float32Array or Float64Array',
)

/** Lengths, and that the arrays are of one type, are native's to check. */
const optionsShape = record({
  embedding: floats,
  shape: z.tuple([count, count], 'expected [N, D], each at least 1'),
  classifier: record({ weight: floats, bias: floats.optional() }),
  target: z.instanceof(Int32Array, { error: 'expected an Int32Array' }),
  numClasses: count,
  step: z.int().min(0).optional(),
  totalSteps: count.optional(),
  state: record({ centres: floats }).optional(),
  grad: z.boolean().optional(),
})

/**
 * The value, the logits and the gradients of a loss with the last layer that it needs, computed
 * natively off the event loop; in float64 for Float64Arrays, else in float32. docs/losses.md has the
 * formulas. `loss` and `parts` are means over the N samples. `logits` are those of training, with the
 * margin; `evalLogits` those of evaluation, without. `state`, for center alone: the centres after a
 * step of this batch. The arrays belong to native until the promise settles.
 *
 * @throws McLossError E_CONFIG for a loss or an option that is none; E_ARGUMENT for mc, labels out of
 * range, lengths that do not match, arrays of two types, a bias or a state that the loss does not have.
 */
export async function computeLoss(options: ComputeLossOptions): Promise<ComputeLossResult> {
  checkArgument('computeLoss', 'options', optionsShape, options)
  const { embedding, shape, classifier, target, numClasses, step = 0, state } = options
  const { totalSteps = step + 1, grad = false } = options
  const loss = completeLoss(options.loss, numClasses)
  const layer = classifierOf(loss)
  if (classifier.bias && layer.kind !== 'linear') {
    throw refusal(`no classifier.bias: the ${layer.kind} layer of loss ${loss.name} has none`)
  }
  if (state && loss.name !== 'center') {
    throw refusal(`no state: loss ${loss.name} has none; center has`)
  }
  if (step >= totalSteps) {
    throw refusal(`step ${step} to be less than totalSteps ${totalSteps}; the first step is 0`)
  }
  const label = target.find((each) => each < 0 || each >= numClasses)
  if (label !== undefined) throw refusal(`labels 0..${numClasses - 1} but received ${label}`)
  const [samples, width] = shape
  const { centres, ...result } = await native().computeLoss({
    ...{ loss, classifier: layer, embedding, samples, width, target, numClasses, grad },
    weight: classifier.weight,
    ...(classifier.bias && { bias: classifier.bias }),
    scalar: scalarOf(loss, totalSteps)?.(step) ?? 0,
    ...(state && { centres: state.centres }),
  })
  return { ...result, ...(centres && { state: { centres } }) }
}

function completeLoss(given: ConfigInput['loss'], numClasses: number) {
  const part = schema.pick({ loss: true })
  const parsed = part.safeParse({ loss: given })
  if (parsed.success && parsed.data.loss.name !== 'mc') {
    return lossForClasses(resolveLoss(parsed.data.loss), numClasses)
  }
  if (parsed.success) throw refusal('another loss than mc, which mcLoss computes on feature maps')
  const { message } = configError(part, { loss: given }, parsed.error.issues)
  throw new McLossError('E_CONFIG', `computeLoss: ${message}`)
}

function refusal(expected: string): McLossError {
  return new McLossError('E_ARGUMENT', `computeLoss: expected ${expected}.`)
}
