// Softmax cross entropy.

import { z } from 'zod'
import { defineLoss, labelSmoothing, smoothingOf } from './loss.js'

export const crossEntropy = defineLoss({
  options: z.strictObject({
    name: z.literal('cross-entropy').describe('softmax cross entropy alone'),
    labelSmoothing,
  }),
  resolve: (options) => ({ name: options.name, ...smoothingOf(options) }),
  classifier: () => ({ kind: 'linear' }),
})
