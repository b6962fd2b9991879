// Congenerous cosine loss (Liu et al., arXiv 1710.00870): cross entropy of scale * cosine. It is the
// large margin cosine loss without a margin.

import { z } from 'zod'
import { defineLoss, positive } from './loss.js'

export const coco = defineLoss({
  options: z.strictObject({
    name: z.literal('coco').describe('the congenerous cosine loss'),
    scale: positive
      .optional()
      .describe('factor of the cosines; default: from the number of classes, 12.1 for 200'),
  }),
  resolve: (options): { name: 'coco'; scale?: number | undefined } => options,
  forClasses: ({ name, scale }, numClasses) => ({ name, scale: scale ?? scaleFor(numClasses) }),
  classifier: ({ scale }) => ({ kind: 'cosine', ...(scale !== undefined && { scale }) }),
})

/**
 * The least scale with which a sample at the centre of its class can have the probability 0.999, where
 * the centres lie as far apart as they can (Wang et al., CVPR 2018).
 */
function scaleFor(numClasses: number): number {
  const others = Math.max(1, numClasses - 1)
  const most = 0.999
  return (others / (others + 1)) * Math.log((others * most) / (1 - most))
}
