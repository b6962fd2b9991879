// A run's configuration, checked and complete. schema.ts and losses/ hold the options, checks.ts what
// must fit between them; errors.ts turns every problem into one E_CONFIG; file.ts reads files and
// command-line flags.

import { z } from 'zod'
import { checkArgument } from '../arguments.js'
import type { Classifier, NativeSettings, NativeTrainerConfig } from '../binding.js'
import { copyOf, datasetShape } from '../data/datasets/lists/check.js'
import { McLossError } from '../errors.js'
import { physicalCores } from '../machine.js'
import { crossProblems, paddingOf, type RightParts } from './checks.js'
import { configError } from './errors.js'
import { classifierOf, lossForClasses, type ResolvedLoss, resolveLoss } from './losses/index.js'
import { half } from './normalisation.js'
import { completeOptimizer, nativeOptim } from './optimizer.js'
import { homeProblems, withAbsolutePaths } from './paths.js'
import { type ConfigInput, type ParsedConfig, runSettings, schema } from './schema.js'

export type { ConfigInput } from './schema.js'

type DataName = NonNullable<ParsedConfig['data']['name']>

/** A complete configuration, every default filled in. */
export type Config = Omit<
  ParsedConfig,
  'precision' | 'threads' | 'data' | 'model' | 'loss' | 'optim'
> & {
  precision: 'fp32' | 'bf16'
  threads: number
  data: Omit<ParsedConfig['data'], 'name' | 'crop' | 'padding'> & {
    name: DataName
    crop: [number, number]
    padding: number
  }
  /** Without a classifier it is linear. */
  model: Omit<ParsedConfig['model'], 'classifier'> & { classifier?: Classifier }
  loss: ResolvedLoss
  optim: Omit<ParsedConfig['optim'], 'headLr'> & { headLr: number }
}

/**
 * Checks a configuration, fills in the defaults and makes its paths absolute. Opens no file.
 *
 * @throws McLossError E_CONFIG that lists every problem: path, expected, received, and for an unknown
 * key the one that may have been meant.
 */
export function defineConfig(input: ConfigInput): Config {
  const parsed = schema.safeParse(input)
  if (!parsed.success) {
    const problems = [...parsed.error.issues, ...crossProblems(rightParts(input))]
    throw configError(schema, input, problems)
  }
  const problems = [...homeProblems(parsed.data), ...crossProblems(parsed.data)]
  if (problems.length > 0) throw configError(schema, input, problems)

  const config = withAbsolutePaths(parsed.data)
  const { data, optim } = config
  const { classifier: _, ...network } = config.model
  const loss = resolveLoss(config.loss)
  return {
    ...config,
    precision: config.precision ?? (config.device === 'cuda' ? 'bf16' : 'fp32'),
    threads: config.threads ?? physicalCores(),
    data: {
      ...data,
      name: data.name ?? 'own',
      crop: data.crop ?? data.resize,
      padding: paddingOf(data),
    },
    ...lossAndModel(loss, completeHead(network)),
    optim: { ...completeOptimizer(optim), headLr: optim.headLr ?? optim.lr },
  }
}

/** With the defaults of the bilinear head. ResNet-50's 2048 channels would make 2 million pairs. */
function completeHead<Model extends ParsedConfig['model']>(model: Model): Model {
  if (model.head !== 'bilinear') return model
  const { reduction = model.backbone === 'resnet50' ? 256 : undefined, pooling = 'sum' } = model
  return { ...model, ...(reduction !== undefined && { reduction }), pooling }
}

/** A linear classifier is stated nowhere. */
function lossAndModel(loss: ResolvedLoss, network: Omit<Config['model'], 'classifier'>) {
  const classifier = classifierOf(loss)
  return { loss, model: { ...network, ...(classifier.kind !== 'linear' && { classifier }) } }
}

/** With the defaults that follow from the number of classes: a run keeps them, native gets them. */
export function forClasses(config: Config, numClasses: number): Config {
  return { ...config, ...lossAndModel(lossForClasses(config.loss, numClasses), config.model) }
}

/**
 * The configuration an exported function was given: checked and completed, whether or not it comes from
 * defineConfig.
 *
 * @throws McLossError E_CONFIG that names the function and lists every problem; E_ARGUMENT for a Dataset
 * that is none.
 */
export function completeConfig(who: string, given: Config | ConfigInput): Config {
  try {
    const config = defineConfig(withoutForm(given))
    const { dataset } = config.data
    if (!dataset) return config
    checkArgument(who, 'config.data.dataset', datasetShape, dataset)
    return { ...config, data: { ...config.data, dataset: copyOf(dataset) } }
  } catch (error) {
    if (!(error instanceof McLossError && error.code === 'E_CONFIG')) throw error
    throw new McLossError('E_CONFIG', `${who}: ${error.message}`, { cause: error })
  }
}

/** A resolved loss names the form of its weights, which the weights say again. */
function withoutForm(config: Config | ConfigInput): ConfigInput {
  if (!(Object(config).loss instanceof Object)) return config as ConfigInput
  const { form: _, ...loss } = { form: undefined, ...config.loss }
  return { ...config, loss } as ConfigInput
}

function rightParts(input: unknown): RightParts {
  const { data, model, loss, optim, best } = schema.shape
  const given = Object(input)
  return {
    data: data.safeParse(given.data).data,
    model: model.safeParse(given.model).data,
    loss: loss.safeParse(given.loss).data,
    optim: optim.safeParse(given.optim).data,
    best: best.safeParse(given.best).data,
  }
}

/** The configuration's JSON Schema (docs/config.schema.json): what a JSON file can hold. */
export function configJsonSchema(): object {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'custom') jsonSchema.not = {} // a script's objects: never
    },
  })
}

/**
 * A configuration as JSON that defineConfig takes again; a Dataset or function becomes 'own', a
 * headLr that is lr stays out, so that it follows lr where a resume changes that.
 */
export function configToJson(config: Config): object {
  const { dataset, ...data } = config.data
  const { loss } = withoutForm(config)
  const { schedule, headLr, ...optim } = config.optim
  return {
    ...config,
    data,
    loss,
    optim: {
      ...optim,
      ...(headLr !== optim.lr && { headLr }),
      schedule: typeof schedule === 'function' ? 'own' : schedule,
    },
  }
}

/** What the native trainer needs of a configuration. */
export function nativeConfig(
  given: Config,
  numClasses: number,
  classWeights?: number[],
): NativeTrainerConfig {
  const config = forClasses(given, numClasses)
  const { data } = config
  const { backbone, head, reduction, pooling, impl, classifier } = config.model
  const { channelsPerClass = 0, freezeBatchNorm } = config.model
  const [height, width] = data.crop
  return {
    model: {
      backbone,
      head,
      ...(reduction && { reduction }),
      ...(pooling && { pooling }),
      ...(impl && { impl }),
      ...(classifier && { classifier }),
      ...(freezeBatchNorm && { freezeBatchNorm }),
      ...{ channelsPerClass, numClasses, input: { height, width } },
    },
    loss: config.loss,
    ...(classWeights && { classWeights }),
    optim: nativeOptim(config.optim),
    initSeed: config.seed,
    device: config.device,
    precision: config.precision,
    channelsLast: config.channelsLast,
    threads: config.threads,
    settings: settingsOf(config),
    mean: data.mean ?? half,
    std: data.std ?? half,
    rank: 0,
    worldSize: 1,
  }
}

/** Samples per forward and backward pass; undefined: the whole batch at once. */
export function microBatchOf({ batchSize, gradAccumSteps }: Config['optim']): number | undefined {
  return gradAccumSteps > 1 ? Math.ceil(batchSize / gradAccumSteps) : undefined
}

/** The settings as they take effect. */
export function settingsOf(config: Config): NativeSettings {
  const settings = pick(config, runSettings)
  return { ...settings, cudnnBenchmark: settings.cudnnBenchmark && !settings.deterministic }
}

/** The keys of `shape` alone. */
function pick<From, Key extends keyof From>(
  from: From,
  shape: Record<Key, z.ZodType>,
): Pick<From, Key> {
  const keys = Object.keys(shape) as Key[]
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<From, Key>
}
