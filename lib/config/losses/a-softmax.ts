// A-softmax, SphereFace (Liu et al., CVPR 2017): cross entropy of |x| cosine, where the angle to the
// right class counts `margin` times over. Its logit is (lambda c + psi) / (1 + lambda) in place of c.

import { z } from 'zod'
import { defineLoss, notNegative } from './loss.js'

export const aSoftmax = defineLoss({
  options: z.strictObject({
    name: z.literal('a-softmax').describe('A-softmax (SphereFace)'),
    margin: z.int().min(1).max(10).default(4).describe('factor of the angle to the right class'),
    lambdaStart: notNegative
      .default(1000)
      .describe('weight of the logit without a margin, at first'),
    lambdaDecay: notNegative
      .default(0.12)
      .describe('lambda is lambdaStart / (1 + lambdaDecay * t) at step t = 1, 2, ..'),
    lambdaMin: notNegative.default(5).describe('lambda falls no further'),
  }),
  resolve: (options) => options,
  classifier: () => ({ kind: 'cosine', scale: 'norm' }),
  /** lambda. */
  scalar: ({ lambdaStart, lambdaDecay, lambdaMin }, step) =>
    Math.max(lambdaMin, lambdaStart / (1 + lambdaDecay * (step + 1))),
})
