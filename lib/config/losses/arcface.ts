// ArcFace (Deng et al., CVPR 2019): cross entropy of scale * cosine, the margin added to the angle to
// the right class.

import { z } from 'zod'
import { defineLoss, notNegative, positive } from './loss.js'

export const arcface = defineLoss({
  options: z.strictObject({
    name: z.literal('arcface').describe('ArcFace, the additive angular margin'),
    scale: positive.default(30).describe('factor of the cosines'),
    margin: notNegative
      .max(3.14)
      .default(0.3)
      .describe('added to the angle to the right class, radians'),
  }),
  resolve: (options) => options,
  classifier: ({ scale }) => ({ kind: 'cosine', scale }),
})
