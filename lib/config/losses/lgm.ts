// Large-margin Gaussian mixture loss (Wan et al., CVPR 2018), with the identity as covariance: cross
// entropy of -d, d = |x - mean|^2 / 2, where that of the right class counts 1 + alpha times; and lambda
// times the mean d of the right class.

import { z } from 'zod'
import { defineLoss, notNegative } from './loss.js'

/** Of the run: how long alpha rises. Before there are means, a margin is all the loss. */
const RISE = 0.2

export const lgm = defineLoss({
  options: z.strictObject({
    name: z.literal('lgm').describe('the large-margin Gaussian mixture loss'),
    alpha: notNegative
      .default(0.1)
      .describe('margin; it rises from 0 over the first 20 % of the steps'),
    lambda: notNegative.default(0.1).describe('weight of the distance to the right mean'),
  }),
  resolve: (options) => options,
  classifier: () => ({ kind: 'distance' }),
  /** alpha. */
  scalar: ({ alpha }, step, totalSteps) => alpha * Math.min(1, step / (RISE * totalSteps)),
})
