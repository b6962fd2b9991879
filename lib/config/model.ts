// What `model` says: the network, its head, and the weights it starts from.

import { z } from 'zod'

const positive = z.number().positive()
const count = z.int().min(1)

export const model = z.strictObject({
  backbone: z
    .enum(['resnet18', 'resnet50', 'vgg16', 'vgg16_bn', 'vgg-small', 'toy'])
    .describe('the convolutional network'),
  head: z
    .enum(['two-layer', 'linear', 'torchvision', 'bilinear'])
    .default('two-layer')
    .describe(
      "two-layer: the authors'; linear: mean over positions, one layer; torchvision's own; " +
        'bilinear: B-CNN, products of channels',
    ),
  reduction: count
    .optional()
    .describe(
      'bilinear: channels that a 1x1 convolution reduces the map to; default: 256 for resnet50, ' +
        'else none',
    ),
  pooling: z
    .enum(['sum', 'isqrt'])
    .optional()
    .describe('bilinear: signed root of the sum of products (default), or iSQRT-COV'),
  channelsPerClass: count
    .optional()
    .describe('xi: widen the last stage to classes * xi channels; left out: as torchvision'),
  weights: z
    .string()
    .min(1)
    .optional()
    .describe('initial weights: a file, a run folder, or a fetched name of `mcloss weights list`'),
  weightsKey: z
    .string()
    .min(1)
    .optional()
    .describe('of a checkpoint with several sets of weights: under which key the right one is'),
  weightsPart: z
    .enum(['backbone', 'all'])
    .optional()
    .describe('what is taken of the weights: the backbone (default), or the head too'),
  allowPartial: z
    .boolean()
    .optional()
    .describe('leave out tensors that do not fit, and say which; default: refuse the file'),
  impl: z
    .enum(['fused', 'reference'])
    .optional()
    .describe(
      "3x3 convolutions, batch norm + ReLU: ours (fused, default), or LibTorch's operators",
    ),
  freezeBatchNorm: z
    .boolean()
    .optional()
    .describe(
      "batch norms of the backbone, not the head's, train with their running statistics, which stay",
    ),
  classifier: z
    .strictObject({
      kind: z
        .enum(['linear', 'cosine', 'distance'])
        .describe('what the last layer computes: a linear map, cosines, or distances from means'),
      scale: z
        .union([positive, z.literal('norm')], "expected a number > 0 or 'norm'")
        .optional()
        .describe("cosine: factor of the cosines; norm: the embedding's length"),
    })
    .optional()
    .describe('how embeddings become logits; default: as the loss needs it'),
})
