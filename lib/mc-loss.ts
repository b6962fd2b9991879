// The Mutual-Channel Loss as a function on plain arrays, so that anyone can hold it against another
// implementation, and the channel groups behind it. docs/mc-loss.md maps symbols to code.

import { z } from 'zod'
import { checkArgument, record } from './arguments.js'
import { type McLossResult, native, type OfficialWeights, type PaperWeights } from './binding.js'
import { McLossError } from './errors.js'

export type McLossOptions = {
  /** F, row-major [N, C, H, W]: the last convolution's output after its ReLU. */
  features: Float32Array | Float64Array
  shape: readonly [number, number, number, number]
  /** [N], 0..numClasses-1. */
  target: Int32Array
  /** K <= C. Class i owns the i-th group of channels (channelGroups). */
  numClasses: number
  /** The 0/1 attention mask (CWA): [C] for the whole batch or [N * C]; left out: all ones. */
  mask?: Uint8Array
  /** Also return the gradient of `loss` by the features. Default false. */
  grad?: boolean
  /** 'fused' (default): the kernels that training uses; 'reference': LibTorch's own operators. */
  impl?: 'fused' | 'reference'
} & (PaperWeights | OfficialWeights)

/** The rest is native's to check. */
const optionsShape = record({
  shape: z.array(z.number()),
  mask: z.instanceof(Uint8Array, { error: 'expected a Uint8Array' }).optional(),
})

/**
 * L_dis, L_div and their weighted sum (Chang et al., TIP 29, 2020, section III), computed natively
 * off the event loop; in float64 for Float64Array features, else in float32.
 *
 * `form: 'paper'` with `mu`, `lambda`: loss = mu * (L_dis - lambda * L_div).
 * `form: 'official'` with `alpha`, `beta`: loss = alpha * L_dis + beta * mean(1 - h_i / xi_i).
 *
 * @throws McLossError E_ARGUMENT for parameters of both forms or of none, lengths that do not match
 * the shape, labels out of range, a mask of other values than 0 and 1, C < K.
 */
export async function mcLoss(options: McLossOptions): Promise<McLossResult> {
  checkArgument('mcLoss', 'options', optionsShape, options)
  const { features, shape, target, numClasses, mask, grad = false, impl = 'fused' } = options
  const strange = mask?.find((value) => value > 1)
  if (strange !== undefined) {
    throw new McLossError(
      'E_ARGUMENT',
      `mcLoss: expected a mask of 0 and 1 but received ${strange}. Give 1 for channels to keep.`,
    )
  }
  return native().mcLoss({
    features,
    shape: [...shape],
    target,
    numClasses,
    ...(mask && { mask }),
    weights: weightsOf(options),
    grad,
    impl,
  })
}

function weightsOf(options: object): PaperWeights | OfficialWeights {
  const given = options as Record<string, unknown>
  const own = { paper: ['mu', 'lambda'], official: ['alpha', 'beta'] }
  const form = given.form
  if (form !== 'paper' && form !== 'official') {
    throw new McLossError(
      'E_ARGUMENT',
      `mcLoss: expected form 'paper' or 'official' but received ${JSON.stringify(form)}.`,
    )
  }
  const others = own[form === 'paper' ? 'official' : 'paper'].filter((key) => key in given)
  if (others.length > 0) {
    throw new McLossError(
      'E_ARGUMENT',
      `mcLoss: form '${form}' takes ${own[form].join(' and ')}, but ${others.join(' and ')} ` +
        'belong to the other form. Name the weights of one form only.',
    )
  }
  const missing = own[form].filter((key) => typeof given[key] !== 'number')
  if (missing.length > 0) {
    throw new McLossError(
      'E_ARGUMENT',
      `mcLoss: form '${form}' needs the numbers ${own[form].join(' and ')}; ` +
        `missing: ${missing.join(', ')}. There are no default weights.`,
    )
  }
  const [first, second] = own[form].map((key) => given[key] as number) as [number, number]
  return form === 'paper'
    ? { form, mu: first, lambda: second }
    : { form, alpha: first, beta: second }
}

/** One class's channels: begin..end-1. */
export interface ChannelGroup {
  class: number
  begin: number
  end: number
}

/**
 * Which channels belong to which class: with q, r = divmod(channels, classes) the first
 * classes - r classes own q channels each, the others q + 1.
 *
 * @throws McLossError E_ARGUMENT when channels < classes or either is not a positive integer.
 */
export function channelGroups(channels: number, classes: number): ChannelGroup[] {
  const number = z.number({ error: 'expected integers 1..2^24' })
  checkArgument('channelGroups', 'channels', number, channels)
  checkArgument('channelGroups', 'classes', number, classes)
  let begin = 0
  return native()
    .channelGroups(channels, classes)
    .map((size, index) => {
      const group = { class: index, begin, end: begin + size }
      begin = group.end
      return group
    })
}
