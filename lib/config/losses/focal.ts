// Focal loss (Lin et al., ICCV 2017) of the softmax: the mean of (1 - p_y)^gamma (-log p_y).

import { z } from 'zod'
import { defineLoss, notNegative } from './loss.js'

export const focal = defineLoss({
  options: z.strictObject({
    name: z.literal('focal').describe('the focal loss of the softmax'),
    gamma: notNegative
      .refine((gamma) => gamma === 0 || gamma >= 1, {
        error:
          'expected 0 or a number >= 1; in between the gradient at a sure right answer is infinite',
      })
      .default(2)
      .describe('how much less a sample counts that is right already'),
  }),
  resolve: (options) => options,
  classifier: () => ({ kind: 'linear' }),
})
