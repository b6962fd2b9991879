// Every loss, one line each.

export { aSoftmax } from './a-softmax.js'
export { arcface } from './arcface.js'
export { center } from './center.js'
export { coco } from './coco.js'
export { cosineLoss } from './cosine-loss.js'
export { crossEntropy } from './cross-entropy.js'
export { focal } from './focal.js'
export { lgm } from './lgm.js'
export { lmcl } from './lmcl.js'
export { maxEntropy } from './max-entropy.js'
export { mc } from './mc.js'
