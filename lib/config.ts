// A run's configuration: every option once, with its default and its words. lib/config-errors.ts turns
// what does not fit into one E_CONFIG; lib/config-file.ts reads files and command-line flags.

import { z } from 'zod'
import { type Dataset, heightWidth } from './batch.js'
import type { NativeLoss, NativeTrainerConfig } from './binding.js'
import { configError, type Problem } from './config-errors.js'
import { physicalCores } from './cores.js'

const positive = z.number().positive()
const notNegative = z.number().nonnegative()
const count = z.int().min(1)
const size = z
  .union([count, z.tuple([count, count])])
  .transform((side): [number, number] => heightWidth(side))
const perChannel = z.tuple([z.number(), z.number(), z.number()])

const data = z.strictObject({
  name: z
    .enum(['image-folder', 'cub200', 'drawn-birds', 'own'])
    .optional()
    .describe('the reader of the data; own: a Dataset object given by a script'),
  root: z.string().min(1).optional().describe('folder of the data'),
  dataset: z
    .custom<Dataset>(isDataset, 'expected a Dataset object {classes, train, test}')
    .optional()
    .describe('a Dataset object in place of name and root (scripts only)'),
  classes: count.optional().describe('drawn-birds: classes to draw, default 20'),
  trainPerClass: count.optional().describe('drawn-birds: training images a class, default 30'),
  testPerClass: count.optional().describe('drawn-birds: test images a class, default 50'),
  size: z.int().min(16).optional().describe('drawn-birds: side of the images, pixels, default 96'),
  seed: z.int().min(0).optional().describe('drawn-birds: other images of the same classes'),
  masks: z.boolean().optional().describe("drawn-birds: also write each bird's mask"),
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
  mean: perChannel.default([0.5, 0.5, 0.5]).describe('per RGB channel, of pixels scaled to 0..1'),
  std: z
    .tuple([positive, positive, positive])
    .default([0.5, 0.5, 0.5])
    .describe('per RGB channel, of pixels scaled to 0..1'),
  decoders: count.default(4).describe('images decoded at the same time'),
  prefetch: count.default(2).describe('batches decoded ahead'),
})

const model = z.strictObject({
  backbone: z
    .enum(['resnet18', 'resnet50', 'vgg16', 'vgg16_bn', 'vgg-small', 'toy'])
    .describe('the convolutional network'),
  head: z
    .enum(['two-layer', 'linear', 'torchvision'])
    .default('two-layer')
    .describe("two-layer: the authors'; linear: mean over positions, one layer; torchvision's own"),
  channelsPerClass: count
    .optional()
    .describe('xi: widen the last stage to classes * xi channels; left out: as torchvision'),
  weights: z
    .string()
    .min(1)
    .optional()
    .describe('a .safetensors file with initial weights of the backbone'),
})

const loss = z.strictObject({
  name: z.enum(['cross-entropy', 'mc']).describe('cross-entropy alone, or with the MC-Loss'),
  preset: z
    .enum(['scratch', 'finetune'])
    .optional()
    .describe(
      "mc: the authors' settings: alpha 1.5, beta 20; or alpha 0.0005, beta 0.01, keep 0.6",
    ),
  alpha: notNegative.optional().describe('mc, official form: weight of L_dis'),
  beta: notNegative.optional().describe('mc, official form: weight of mean(1 - h / xi)'),
  mu: notNegative.optional().describe("mc, paper's form: mu * (L_dis - lambda * L_div)"),
  lambda: notNegative.optional().describe("mc, paper's form: mu * (L_dis - lambda * L_div)"),
  keep: z
    .union([z.literal('ceil-half'), positive.max(1)])
    .optional()
    .describe("mc: channels of a class the attention mask keeps: 'ceil-half' (default) or a ratio"),
  maskScope: z
    .enum(['batch', 'sample'])
    .optional()
    .describe('mc: one attention mask a batch (default) or a sample'),
})

const optim = z.strictObject({
  lr: positive.describe('learning rate of the backbone'),
  headLr: positive.optional().describe('learning rate of the head; default: lr'),
  momentum: notNegative.lt(1).default(0.9).describe('of SGD'),
  nesterov: z.boolean().default(false).describe('Nesterov momentum'),
  weightDecay: notNegative.default(5e-4).describe('of all parameters'),
  schedule: z
    .union([
      z.enum(['constant', 'multi-step', 'cosine', 'own']),
      z.custom<(step: number) => number>((value) => typeof value === 'function'),
    ])
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
  metric: z.enum(['top1', 'top5', 'loss']).default('top1').describe('decides which epoch is best'),
})

export const schema = z.strictObject({
  $schema: z.string().optional().describe('for editors'),
  about: z.string().optional().describe('what this configuration is for'),
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
  channelsLast: z.boolean().default(true).describe('layout of images and weights'),
  data,
  model,
  loss,
  optim,
  evalEvery: count.default(1).describe('epochs between evaluations; the last is always evaluated'),
  best: best.prefault({}),
  logEvery: count.default(10).describe('steps between progress events'),
  checkpointEvery: count.default(1).describe('epochs between checkpoints; the last is always kept'),
})

/** What a user writes: only data, model, loss and optim are required. */
export type ConfigInput = z.input<typeof schema>

type Parsed = z.output<typeof schema>
type DataName = NonNullable<Parsed['data']['name']>

/** A complete configuration, every default filled in. */
export type Config = Omit<Parsed, 'precision' | 'threads' | 'data' | 'loss' | 'optim'> & {
  precision: 'fp32' | 'bf16'
  threads: number
  data: Omit<Parsed['data'], 'name' | 'crop' | 'padding'> & {
    name: DataName
    crop: [number, number]
    padding: number
  }
  loss: NativeLoss
  optim: Omit<Parsed['optim'], 'headLr'> & { headLr: number }
}

/**
 * Checks a configuration and fills in the defaults. Opens no file.
 *
 * @throws McLossError E_CONFIG that lists every problem: path, expected, received, and for an unknown
 * key the one that may have been meant.
 */
export function defineConfig(input: ConfigInput): Config {
  const parsed = schema.safeParse(input)
  if (!parsed.success) throw configError(schema, input, parsed.error.issues)
  const config = parsed.data
  const problems = [...dataProblems(config), ...lossProblems(config), ...optimProblems(config)]
  if (config.model.backbone === 'vgg-small' && config.model.channelsPerClass === undefined) {
    problems.push({ path: ['model', 'channelsPerClass'], message: 'vgg-small needs it (3)' })
  }
  if (problems.length > 0) throw configError(schema, input, problems)

  const { data, optim } = config
  const crop = data.crop ?? data.resize
  return {
    ...config,
    precision: config.precision ?? (config.device === 'cuda' ? 'bf16' : 'fp32'),
    threads: config.threads ?? physicalCores(),
    data: {
      ...data,
      name: data.name ?? 'own',
      crop,
      padding: data.padding ?? (data.crop === undefined ? 4 : 0),
    },
    loss: lossOf(config.loss),
    optim: { ...optim, headLr: optim.headLr ?? optim.lr },
  }
}

/** The configuration's JSON Schema (docs/config.schema.json). */
export function configJsonSchema(): object {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
}

/** A configuration as JSON that defineConfig takes again; a Dataset or function becomes 'own'. */
export function configToJson(config: Config): object {
  const { dataset, ...data } = config.data
  const { form: _, ...loss } = { form: undefined, ...config.loss }
  const { schedule } = config.optim
  return {
    ...config,
    data,
    loss,
    optim: { ...config.optim, schedule: typeof schedule === 'function' ? 'own' : schedule },
  }
}

/** What the native trainer needs of a configuration. */
export function nativeConfig(config: Config, numClasses: number): NativeTrainerConfig {
  const { model, data, optim } = config
  const [height, width] = data.crop
  return {
    model: {
      backbone: model.backbone,
      head: model.head,
      numClasses,
      channelsPerClass: model.channelsPerClass ?? 0,
      input: { height, width },
    },
    loss: config.loss,
    optim: {
      momentum: optim.momentum,
      nesterov: optim.nesterov,
      weightDecay: optim.weightDecay,
      headLrScale: optim.headLr / optim.lr,
    },
    initSeed: config.seed,
    device: config.device,
    precision: config.precision,
    channelsLast: config.channelsLast,
    threads: config.threads,
    mean: data.mean,
    std: data.std,
    rank: 0,
    worldSize: 1,
  }
}

// ---- what one key alone cannot tell ----

function dataProblems({ data }: Parsed): Problem[] {
  const problems: Problem[] = []
  const bad = (key: keyof Parsed['data'], message: string) =>
    problems.push({ path: ['data', key], message })
  if (data.dataset) {
    if (data.name && data.name !== 'own') bad('name', 'give name and root, or dataset, not both')
    if (data.root) bad('root', 'give name and root, or dataset, not both')
  } else if (data.name === undefined) {
    bad('name', 'missing: give name and root, or a dataset object')
  } else if (data.name !== 'own' && data.root === undefined) {
    bad('root', 'missing: the folder of the data')
  }
  if (data.name !== 'drawn-birds') {
    for (const key of [
      'classes',
      'trainPerClass',
      'testPerClass',
      'size',
      'seed',
      'masks',
    ] as const) {
      if (data[key] !== undefined) bad(key, 'belongs to drawn-birds only')
    }
  }
  return problems
}

const presets = {
  scratch: { alpha: 1.5, beta: 20, keep: 'ceil-half' },
  finetune: { alpha: 0.0005, beta: 0.01, keep: 0.6 },
} as const

function lossProblems({ loss }: Parsed): Problem[] {
  const bad = (key: string, message: string): Problem[] => [{ path: ['loss', key], message }]
  const { name, ...settings } = loss
  const given = Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : key))
  if (name === 'cross-entropy') return given.flatMap((key) => bad(key, 'belongs to mc only'))
  const has = (key: string) => given.includes(key)
  const ways = [
    has('preset') && 'preset',
    (has('alpha') || has('beta')) && 'alpha and beta',
    (has('mu') || has('lambda')) && 'mu and lambda',
  ].filter(Boolean)
  if (ways.length === 0) {
    return bad('name', 'mc needs its weights: preset, or alpha and beta, or mu and lambda')
  }
  if (ways.length > 1) return bad('name', `mc takes one of ${ways.join('; ')}: they are two forms`)
  for (const [one, other] of [
    ['alpha', 'beta'],
    ['mu', 'lambda'],
  ] as const) {
    if (has(one) !== has(other)) {
      return bad(has(one) ? other : one, `missing: ${one} and ${other} go together`)
    }
  }
  return []
}

function lossOf(loss: Parsed['loss']): NativeLoss {
  if (loss.name === 'cross-entropy') return { name: 'cross-entropy' }
  const { maskScope = 'batch', mu, lambda } = loss
  const preset = loss.preset && presets[loss.preset]
  const keep = loss.keep ?? preset?.keep ?? 'ceil-half'
  const common = { name: 'mc', keep, maskScope } as const
  if (mu !== undefined && lambda !== undefined) return { ...common, form: 'paper', mu, lambda }
  const { alpha = 0, beta = 0 } = preset ?? loss
  return { ...common, form: 'official', alpha, beta }
}

function optimProblems({ optim }: Parsed): Problem[] {
  const problems: Problem[] = []
  const bad = (key: keyof Parsed['optim'], message: string) =>
    problems.push({ path: ['optim', key], message })
  const isMultiStep = optim.schedule === 'multi-step'
  if (isMultiStep && !optim.milestones?.length) bad('milestones', 'missing: multi-step needs them')
  if (!isMultiStep && optim.milestones) bad('milestones', 'belongs to schedule multi-step only')
  if (optim.milestones?.some((epoch, i, all) => i > 0 && epoch <= (all[i - 1] ?? 0))) {
    bad('milestones', 'expected rising epochs')
  }
  if (optim.nesterov && optim.momentum === 0) bad('nesterov', 'needs a momentum above 0')
  if (optim.warmupEpochs > optim.epochs) bad('warmupEpochs', 'expected at most epochs')
  if (optim.batchSize % optim.gradAccumSteps !== 0) {
    bad('gradAccumSteps', `expected a divisor of batchSize ${optim.batchSize}`)
  }
  return problems
}

function isDataset(value: unknown): boolean {
  const { classes, train, test } = (value ?? {}) as Partial<Dataset>
  return Array.isArray(classes) && Array.isArray(train) && Array.isArray(test)
}
