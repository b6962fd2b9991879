// Cross entropy and the center loss (Wen et al., ECCV 2016): half the mean squared distance of the
// embeddings from the centre of their class.

import { z } from 'zod'
import { defineLoss, labelSmoothing, notNegative, positive, smoothingOf } from './loss.js'

export const center = defineLoss({
  options: z.strictObject({
    name: z.literal('center').describe('cross entropy with the center loss'),
    weight: notNegative.default(0.003).describe('of the center loss'),
    centerRate: positive.max(1).default(0.5).describe('how far a step moves the centres, 0..1'),
    labelSmoothing,
  }),
  resolve: ({ name, weight, centerRate, ...rest }) => ({
    name,
    weight,
    centerRate,
    ...smoothingOf(rest),
  }),
  classifier: () => ({ kind: 'linear' }),
})
