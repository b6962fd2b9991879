// Cosine loss (Barz and Denzler, WACV 2020): the mean of 1 - z_y / |z|, z the logits as a vector.

import { z } from 'zod'
import { defineLoss } from './loss.js'

export const cosineLoss = defineLoss({
  options: z.strictObject({
    name: z.literal('cosine-loss').describe('the cosine between the logits and the right class'),
  }),
  resolve: (options) => options,
  classifier: () => ({ kind: 'linear' }),
})
