// Maximum entropy (Dubey et al., NeurIPS 2018): cross entropy less gamma times the entropy of the
// softmax.

import { z } from 'zod'
import { defineLoss, notNegative } from './loss.js'

export const maxEntropy = defineLoss({
  options: z.strictObject({
    name: z.literal('max-entropy').describe('cross entropy less the entropy of the softmax'),
    gamma: notNegative.default(1).describe('weight of the entropy'),
  }),
  resolve: (options) => options,
  classifier: () => ({ kind: 'linear' }),
})
