// The large margin cosine loss, CosFace (Wang et al., CVPR 2018): cross entropy of scale * cosine,
// the margin taken off the cosine of the right class.

import { z } from 'zod'
import { defineLoss, notNegative, positive } from './loss.js'

export const lmcl = defineLoss({
  options: z.strictObject({
    name: z.literal('lmcl').describe('the large margin cosine loss'),
    scale: positive.default(30).describe('factor of the cosines'),
    margin: notNegative.default(0.35).describe('taken off the cosine of the right class'),
  }),
  resolve: (options) => options,
  classifier: ({ scale }) => ({ kind: 'cosine', scale }),
})
