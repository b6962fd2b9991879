// Every option of a run once, with its default and its words: the source of flags, of
// docs/config.schema.json and of the types. What one key alone cannot tell is in checks.ts.

import { z } from 'zod'
import { type Dataset, heightWidth } from '../data/batch.js'
import { datasetNames, type ReaderShape, readerOptions } from '../data/datasets/index.js'
import { lossSchema } from './losses/index.js'
import { model } from './model.js'
import { optimizerKeys } from './optimizer.js'

const positive = z.number().positive()
const notNegative = z.number().nonnegative()
const count = z.int().min(1)
/** gather_augment takes factors up to 256. */
const change = notNegative.max(255)
const size = z
  .union(
    [count, z.tuple([count, count])],
    'expected a side or [height, width] in whole pixels >= 1',
  )
  .transform((side): [number, number] => heightWidth(side))
const perChannel = z.tuple([z.number(), z.number(), z.number()])

/** The keys of the readers, their words headed by whom they belong to. */
const readerKeys = Object.fromEntries(
  [...readerOptions].flatMap(([name, options]) =>
    Object.entries(options as Record<string, z.ZodType>).map(([key, type]) => [
      key,
      type.describe(`${name}: ${type.description}`),
    ]),
  ),
) as ReaderShape

const data = z.strictObject({
  name: z
    .enum([...datasetNames, 'own'])
    .optional()
    .describe('the reader of the data; own: a Dataset object given by a script'),
  root: z.string().min(1).optional().describe('folder of the data; csv: also the file'),
  dataset: z
    .custom<Dataset>(isDataset, 'expected a Dataset object {classes, train, test}')
    .optional()
    .describe('a Dataset object in place of name and root (scripts only)'),
  strict: z
    .boolean()
    .default(false)
    .describe('an error where the data differs from what it is said to be, in place of a warning'),
  ...readerKeys,
  resize: size
    .default([224, 224])
    .describe('every image is resized to this, pixels: side or [h, w]'),
  crop: size.optional().describe('the part the network sees; default: the whole resized image'),
  padding: z
    .int()
    .min(0)
    .optional()
    .describe(
      'black pixels a training crop may take in on each side; default 4 without a crop, else 0',
    ),
  flip: z.boolean().default(true).describe('mirror training images with probability 0.5'),
  mean: perChannel
    .optional()
    .describe('per RGB channel, of pixels scaled to 0..1; default: of the weights, else 0.5'),
  std: z
    .tuple([positive, positive, positive])
    .optional()
    .describe('per RGB channel, of pixels scaled to 0..1; default: of the weights, else 0.5'),
  validation: positive
    .lt(1)
    .optional()
    .describe('fraction of each class of train that is set aside to pick the best epoch on'),
  jitter: z
    .strictObject({
      brightness: change.default(0).describe('training: factor uniform in 1 -/+ this'),
      contrast: change.default(0).describe('training: factor uniform in 1 -/+ this'),
      saturation: change.default(0).describe('training: factor uniform in 1 -/+ this'),
    })
    .prefault({})
    .describe('changes of colour, after crop and flip, in this order'),
  randomErasing: notNegative
    .max(1)
    .default(0)
    .describe(
      'training: with this probability a rectangle of the crop becomes the mean colour (0 after ' +
        'mean and std), after all else; 2 to 33 % of its area, height by width 0.3 to 3.3',
    ),
  classWeights: z
    .union(
      [
        z.enum(['none', 'balanced']),
        z
          .array(notNegative)
          .refine((weights) => weights.some((weight) => weight > 0), 'expected a weight above 0'),
      ],
      "expected 'none', 'balanced' or a list of finite numbers >= 0, not all 0",
    )
    .default('none')
    .describe(
      'training: factors of the cross entropy of each class, in focal and cosine-loss of their own ' +
        'term, of no other, not in evaluation; ' +
        'balanced: n / (K n_k), rarer classes count more; a list is divided by its mean over the ' +
        'training images; a batch is divided by its number of images, not by its sum of weights',
    ),
  store: z
    .enum(['auto', 'mmap', 'ram', 'gpu', 'off'])
    .default('auto')
    .describe('decoded images: a mapped file, a copy in memory or on the GPU, or none'),
  storeDir: z.string().min(1).optional().describe('folder of the stores; default: OUT/stores'),
  onBadImage: z
    .enum(['error', 'skip'])
    .default('error')
    .describe('skip: leave out, with a warning, at most one file in a thousand'),
  decoders: count.default(4).describe('images decoded at the same time'),
  prefetch: count.default(2).describe('batches decoded ahead'),
})

const optim = z.strictObject({
  lr: positive.describe('learning rate of the backbone'),
  headLr: positive.optional().describe('learning rate of the head; default: lr'),
  ...optimizerKeys,
  freezeBackboneEpochs: z
    .int()
    .min(0)
    .default(0)
    .describe("first epochs in which only the head and the loss's own parameters train"),
  schedule: z
    .union(
      [
        z.enum(['constant', 'multi-step', 'cosine', 'own']),
        z.custom<(step: number) => number>((value) => typeof value === 'function'),
      ],
      "expected 'constant', 'multi-step', 'cosine' or, in a script, a function (step) => lr",
    )
    .default('cosine')
    .describe('of the learning rates; a script can give a function (step) => lr'),
  milestones: z
    .array(count)
    .optional()
    .describe('multi-step: epochs after which the rate is multiplied by gamma'),
  gamma: positive.max(1).default(0.1).describe('multi-step: the factor'),
  warmupEpochs: notNegative.default(0).describe('epochs of linear warm-up'),
  epochs: count.describe('passes over the training split'),
  batchSize: count.describe('samples in a step'),
  gradAccumSteps: count.default(1).describe('forward and backward passes a step'),
  dropLast: z.boolean().default(true).describe('leave out a last training batch that is not full'),
})

const best = z.strictObject({
  metric: z
    .enum(['top1', 'top5', 'loss', 'meanPerClass'])
    .default('top1')
    .describe('decides which epoch is best'),
  of: z
    .enum(['raw', 'ema'])
    .default('raw')
    .describe('whose figures decide: of the weights, or of their average optim.ema'),
})

const records = z.strictObject({
  tensorboard: z.boolean().default(true).describe("write the run's figures for TensorBoard too"),
})

const explain = z.strictObject({
  images: z
    .array(z.string().min(1))
    .max(8, 'expected at most 8 paths')
    .default([])
    .describe(
      'pictures whose channel maps the run draws into RUN/maps at each evaluation, at most 8',
    ),
})

const published = z.strictObject({
  top1: notNegative.max(1).describe('share 0..1 of the test split'),
  source: z.string().min(1).describe('who says so, and of what'),
})

/** What decides speed and reproducibility; native gets all of it. */
export const runSettings = {
  cudnnBenchmark: z
    .boolean()
    .default(true)
    .describe('cuda: time the algorithms of convolutions at the first step and keep the fastest'),
  tf32: z
    .boolean()
    .default(true)
    .describe('cuda: fp32 products on tensor cores, rounded to 10 bits of mantissa'),
  deterministic: z
    .boolean()
    .default(false)
    .describe('the same bits in every run on one machine; turns cudnnBenchmark off'),
  cudaGraph: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe('cuda: replay the steps as one graph (auto: where that can be done), or launch each'),
}

export const schema = z.strictObject({
  $schema: z.string().optional().describe('for editors'),
  about: z.string().optional().describe('what this configuration is for'),
  published: published.optional().describe('a published result of it, to compare with'),
  seed: z.int().min(0).default(0).describe('decides initial weights, order, crops, flips, masks'),
  out: z.string().min(1).default('runs').describe('folder of the run folders'),
  name: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes and underscores')
    .optional()
    .describe('of the run folder; default: date-data-backbone-loss'),
  device: z.enum(['cpu', 'cuda']).default('cpu').describe('where to train'),
  precision: z
    .enum(['fp32', 'bf16'])
    .optional()
    .describe('of the forward and backward pass; default: fp32 on cpu, bf16 on cuda'),
  threads: z.int().min(1).max(1024).optional().describe('of LibTorch; default: physical cores'),
  channelsLast: z
    .boolean()
    .default(true)
    .describe(
      'images and weights with the channels last in memory; false copies each batch once more',
    ),
  ...runSettings,
  data,
  model,
  loss: lossSchema,
  optim,
  evalEvery: count.default(1).describe('epochs between evaluations; the last is always evaluated'),
  best: best.prefault({}),
  logEvery: count.default(10).describe('steps between progress events'),
  records: records.prefault({}).describe('what a run writes of itself beside metrics.jsonl'),
  explain: explain.prefault({}).describe('what a run shows of what it learns'),
  checkpointEvery: count.default(1).describe('epochs between checkpoints; the last is always kept'),
})

/** What a user writes: only data, model, loss and optim are required. */
export type ConfigInput = z.input<typeof schema>

/** What the schema makes of it, before the checks across keys. */
export type ParsedConfig = z.output<typeof schema>

function isDataset(value: unknown): boolean {
  const { classes, train, test } = (value ?? {}) as Partial<Dataset>
  return Array.isArray(classes) && Array.isArray(train) && Array.isArray(test)
}
