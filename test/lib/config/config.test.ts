// The configuration: every key wrong once, keys that do not fit together, defaults, and the way to
// a file and back.

import { availableParallelism, homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { configKeys } from '../../../lib/config/file.js'
import {
  type Config,
  type ConfigInput,
  completeConfig,
  configToJson,
  defineConfig,
  nativeConfig,
} from '../../../lib/config/index.js'
import { McLossError } from '../../../lib/errors.js'

type Plain = Record<string, Record<string, unknown>>

/** A correct configuration in which every key may appear that the loss takes. */
function correct(): Plain {
  return {
    data: { name: 'drawn-birds', root: 'birds', resize: 64 },
    model: { backbone: 'toy', head: 'linear' },
    loss: { name: 'mc', alpha: 1, beta: 2 },
    optim: { lr: 0.1, epochs: 4, batchSize: 8 },
  }
}

/** The losses that have a key which mc has not. */
const lossWith: Record<string, string> = {
  'loss.weight': 'center',
  'loss.centerRate': 'center',
  'loss.gamma': 'focal',
  'loss.lambdaStart': 'a-softmax',
  'loss.lambdaDecay': 'a-softmax',
  'loss.lambdaMin': 'a-softmax',
  'loss.scale': 'lmcl',
  'loss.margin': 'lmcl',
}

function withValue(path: string, value: unknown): Plain {
  const input = correct()
  if (lossWith[path]) input.loss = { name: lossWith[path] }
  const keys = path.split('.')
  const last = keys.pop() as string
  const at = keys.reduce((object, key) => {
    object[key] ??= {}
    return object[key] as Plain
  }, input)
  ;(at as Record<string, unknown>)[last] = value
  return input
}

const define = (input: object): Config => defineConfig(input as ConfigInput)

function refusal(input: unknown): string {
  try {
    define(input as object)
  } catch (error) {
    expect(error).toBeInstanceOf(McLossError)
    expect(error).toMatchObject({ code: 'E_CONFIG' })
    return (error as McLossError).message
  }
  throw new Error(`accepted ${JSON.stringify(input)}`)
}

const wrong: Record<string, unknown[]> = {
  about: [5],
  'published.top1': [-0.1, 87.26, '0.5'],
  'published.source': ['', 3],
  'records.tensorboard': ['yes', 1],
  seed: [-1, 0.5, 2 ** 53, '1'],
  out: ['', 1],
  name: ['a/b', '', 1],
  device: ['gpu'],
  precision: ['fp16'],
  threads: [0, 1.5],
  channelsLast: ['yes'],
  cudnnBenchmark: ['fast', 1],
  tf32: [0],
  deterministic: ['yes'],
  cudaGraph: ['on', true],
  'data.name': ['birds'],
  'data.root': [''],
  'data.dataset': [{ classes: [] }, 'birds'],
  'data.strict': ['yes'],
  'data.level': ['model'],
  'data.cropStrip': [20],
  'data.classes': [0],
  'data.trainPerClass': [0],
  'data.testPerClass': [-2],
  'data.size': [8],
  'data.seed': [-1],
  'data.masks': [1, 'part'],
  'data.resize': [0, [64], [64, 64, 64], '64', 64.5],
  'data.crop': [0, [1, 0], 500],
  'data.padding': [-1],
  'data.firstClass': [-1, 0.5, '1'],
  'data.flip': [0],
  'data.mean': [0.5, [0.5, 0.5]],
  'data.std': [
    [0.5, 0.5],
    [0.5, 0, 0.5],
  ],
  'data.validation': [0, 1, -0.1, Number.NaN],
  'data.jitter.brightness': [-1],
  'data.jitter.contrast': ['much'],
  'data.jitter.saturation': [Number.NaN],
  'data.randomErasing': [-0.1, 1.5, 'often', Number.NaN],
  'data.classWeights': ['auto', [1, -1], [0, 0], []],
  'data.store': ['disk'],
  'data.storeDir': [''],
  'data.onBadImage': ['ignore'],
  'data.decoders': [0],
  'data.prefetch': [0],
  'model.backbone': ['resnet34'],
  'model.head': ['mlp'],
  'model.reduction': [0, 1.5, 'half'],
  'model.pooling': ['max'],
  'model.channelsPerClass': [0],
  'model.weights': ['', 3],
  'model.weightsKey': ['', 3],
  'model.weightsPart': ['head', true],
  'model.allowPartial': ['yes', 1],
  'model.impl': ['slow'],
  'model.freezeBatchNorm': ['yes', 1],
  'model.classifier.kind': ['bilinear'],
  'model.classifier.scale': [0, 'length'],
  'loss.name': ['triplet'],
  'loss.preset': ['authors'],
  'loss.alpha': [-1, 'big', Number.NaN],
  'loss.beta': [-1],
  'loss.mu': [-1],
  'loss.lambda': [Number.POSITIVE_INFINITY],
  'loss.keep': [0, 1.5, 'half'],
  'loss.maskScope': ['image'],
  'loss.impl': ['slow'],
  'loss.pool': ['sum'],
  'loss.labelSmoothing': [-0.1, 1, 'some'],
  'loss.weight': [-1],
  'loss.centerRate': [0, 1.5],
  'loss.gamma': [-1, 0.5],
  'loss.lambdaStart': [-1],
  'loss.lambdaDecay': [-1],
  'loss.lambdaMin': [Number.NaN],
  'loss.scale': [0],
  'loss.margin': [-0.1],
  'optim.lr': [0, -1, 'fast', Number.NaN],
  'optim.headLr': [0],
  'optim.momentum': [1, -0.1],
  'optim.nesterov': [1],
  'optim.name': ['adam', 1],
  'optim.betas': [0.9, [0.9], [0.9, 1], [-0.1, 0.9]],
  'optim.eps': [0, -1],
  'optim.decayNormAndBias': ['no'],
  'optim.clipGradNorm': [0, -1, 'off'],
  'optim.freezeBackboneEpochs': [-1, 0.5],
  'optim.ema.decay': [0, 1, 'slow'],
  'optim.ema.warmupSteps': [-1, 0.5],
  'optim.weightDecay': [-1],
  'optim.schedule': ['linear', 3],
  'optim.milestones': [150, [0], ['a']],
  'optim.gamma': [0, 2],
  'optim.warmupEpochs': [-1, 5],
  'optim.epochs': [0, 1.5],
  'optim.batchSize': [0],
  'optim.gradAccumSteps': [0, 3],
  'optim.dropLast': ['no'],
  evalEvery: [0],
  'best.metric': ['top3'],
  'best.of': ['average'],
  'explain.images': ['a.jpg', [''], Array.from({ length: 9 }, () => 'a.jpg')],
  logEvery: [0],
  checkpointEvery: [0],
}

test('the base configuration is correct, and the list of wrong values has every key', () => {
  expect(define(correct())).toMatchObject({ optim: { lr: 0.1 } })
  const keys = configKeys().map(({ path }) => path)
  expect(Object.keys(wrong).sort()).toEqual([...keys, 'data.dataset'].sort())
  expect(configKeys().filter(({ description }) => description === '')).toEqual([])
})

test.each(Object.entries(wrong))('%s is refused when wrong', (path, values) => {
  for (const value of values) {
    const message = refusal(withValue(path, value))
    const line = message.split('\n').find((one) => one.startsWith(`  ${path}`)) ?? message
    expect(line).toMatch(new RegExp(`^  ${path}[.\\d]*: .*expected`, 'i'))
    expect(line).toMatch(/\(received .+\)$/)
  }
})

test.each([
  ['sede', 'seed'],
  ['data.croop', 'crop'],
  ['model.bakbone', 'backbone'],
  ['loss.Alpha', 'alpha'],
  ['optim.batchsize', 'batchSize'],
  ['best.metrc', 'metric'],
])('unknown key %s: did you mean %s?', (path, meant) => {
  expect(refusal(withValue(path, 1))).toContain(`  ${path}: unknown key. Did you mean '${meant}'?`)
})

test('an unknown key far from any other lists the known ones', () => {
  const message = refusal(withValue('best.direction', 'up'))
  expect(message).toContain('best.direction: unknown key. Known keys: metric, of.')
})

test('every problem is told at once, a line each, with what was received', () => {
  const input = withValue('optim.lr', 'fast')
  input.optim = { ...input.optim, epochs: 0, lrr: 1 }
  input.model = { backbone: 'resnet34' }
  const lines = refusal(input).split('\n')
  expect(lines[0]).toBe('config: 4 problems.')
  expect(lines.filter((line) => line.startsWith('  '))).toHaveLength(4)
  expect(lines).toContain('  optim.lr: Invalid input: expected number (received "fast")')
})

test('a wrong value in one part does not hide what does not fit together in another', () => {
  const input = { ...withValue('optim.lr', 'fast'), loss: { name: 'mc', alpha: 1, mu: 1 } }
  const message = refusal({ ...input, data: { name: 'cub200', resize: 64, crop: 65 } })
  for (const path of ['optim.lr', 'loss.name', 'data.root', 'data.crop']) {
    expect(message).toContain(`\n  ${path}: `)
  }
  expect(message).toContain('4 problems')
})

test.each([
  ['reduction', 64],
  ['pooling', 'isqrt'],
])('%s belongs to the bilinear head, which has its defaults', (key, value) => {
  const message = refusal(withValue(`model.${key}`, value))
  expect(message).toContain(`  model.${key}: belongs to head bilinear only`)
  const model = { head: 'bilinear' } as const
  const of = (backbone: 'resnet50' | 'vgg16', more: object) =>
    define({ ...correct(), model: { ...model, backbone, ...more } }).model
  expect(of('resnet50', {})).toMatchObject({ reduction: 256, pooling: 'sum' })
  expect(of('vgg16', {})).not.toHaveProperty('reduction')
  expect(of('vgg16', { [key]: value })).toMatchObject({ [key]: value })
  expect(define(correct()).model).not.toHaveProperty(key)
})

test('what is said of weights needs weights', () => {
  const message = refusal(withValue('model.weightsPart', 'all'))
  expect(message).toContain('  model.weightsPart: needs model.weights')
})

test('a name of published weights stays one, a path becomes absolute', () => {
  const of = (weights: string) => define(withValue('model.weights', weights)).model.weights
  expect(of('resnet50.tv_in1k')).toBe('resnet50.tv_in1k')
  expect(of('resnet50.tv_in1k.pth')).toBe(resolve('resnet50.tv_in1k.pth'))
})

test.each([[undefined], [null], ['text'], [[]]])('%j is no configuration', (input) => {
  expect(refusal(input)).toMatch(/config: .*expected object/)
})

test.each(['data', 'model', 'loss', 'optim'])('%s cannot be left out', (part) => {
  const { [part]: _, ...rest } = correct()
  expect(refusal(rest)).toMatch(new RegExp(`  ${part}: .*expected object, received undefined`))
})

const dataset = { classes: ['a'], train: [], test: [] }
test.each([
  [{ data: { root: 'x' } }, /data\.name: missing/],
  [{ data: { name: 'cub200' } }, /data\.root: missing/],
  [{ data: { name: 'cub200', root: 'x', size: 64 } }, /data\.size: belongs to drawn-birds/],
  [
    { data: { name: 'cub200', root: 'x', level: 'family' } },
    /data\.level: belongs to fgvc-aircraft/,
  ],
  [{ data: { dataset, cropStrip: false } }, /data\.cropStrip: belongs to fgvc-aircraft/],
  [{ data: { name: 'fgvc-aircraft', root: 'x', seed: 1 } }, /data\.seed: belongs to drawn-birds/],
  [{ data: { dataset, root: 'x' } }, /data\.root: .*not both/],
  [{ data: { dataset, name: 'cub200' } }, /data\.name: .*not both/],
  [{ data: { name: 'cub200', root: 'x', resize: 64, crop: 65 } }, /data\.crop: .*64x64.*padding 0/],
  [{ data: { name: 'cub200', root: 'x', resize: [64, 96], crop: [60, 97] } }, /data\.crop/],
  [{ model: { backbone: 'vgg-small' } }, /model\.channelsPerClass: missing/],
  [{ optim: { schedule: 'multi-step' } }, /optim\.milestones: missing/],
  [{ optim: { milestones: [2] } }, /optim\.milestones: belongs to schedule multi-step/],
  [{ optim: { schedule: 'multi-step', milestones: [2, 2] } }, /optim\.milestones: .*rising/],
  [{ optim: { nesterov: true, momentum: 0 } }, /optim\.nesterov: needs a momentum/],
  [{ optim: { warmupEpochs: 1, schedule: () => 1 } }, /optim\.warmupEpochs: .*your own/],
  [{ optim: { betas: [0.9, 0.99] } }, /optim\.betas: belongs to adamw only/],
  [{ optim: { eps: 1e-6 } }, /optim\.eps: belongs to adamw only/],
  [{ optim: { name: 'adamw', momentum: 0.9 } }, /optim\.momentum: belongs to sgd only/],
  [{ optim: { name: 'adamw', nesterov: false } }, /optim\.nesterov: belongs to sgd only/],
  [{ best: { of: 'ema' } }, /best\.of: ema needs optim\.ema/],
])('what does not fit together: %j', (parts, words) => {
  const input = correct()
  for (const [part, settings] of Object.entries(parts)) {
    const required = part === 'optim' ? input.optim : {}
    input[part] = { ...required, ...settings }
  }
  expect(refusal(input)).toMatch(words)
})

test('a crop of the size that padding allows is taken', () => {
  const data = { name: 'cub200', root: 'x', resize: 64, crop: [66, 64], padding: 1 }
  expect(define({ ...correct(), data }).data.crop).toEqual([66, 64])
})

test('defaults that depend on another key', () => {
  const cpu = define(correct())
  expect(cpu.precision).toBe('fp32')
  expect(define({ ...correct(), device: 'cuda' }).precision).toBe('bf16')
  expect(cpu.threads).toBeGreaterThanOrEqual(1)
  expect(cpu.threads).toBeLessThanOrEqual(availableParallelism())
  expect(cpu.data).toMatchObject({ resize: [64, 64], crop: [64, 64], padding: 4 })
  expect(define(withValue('data.crop', 48)).data).toMatchObject({ crop: [48, 48], padding: 0 })
  expect(cpu.optim).toMatchObject({ headLr: 0.1, schedule: 'cosine', momentum: 0.9 })
  expect(define({ ...correct(), data: { dataset } }).data.name).toBe('own')
})

test('the native configuration: the network sees the crop, the head its own rate', () => {
  const { data, optim, ...rest } = correct()
  const config = define({
    ...rest,
    seed: 7,
    data: { ...data, crop: [32, 48] },
    optim: { ...optim, headLr: 0.4 },
  })
  expect(nativeConfig(config, 20)).toMatchObject({
    model: { numClasses: 20, channelsPerClass: 0, input: { height: 32, width: 48 } },
    optim: { headLrScale: 4 },
    loss: config.loss,
    settings: { cudnnBenchmark: true, tf32: true, deterministic: false, cudaGraph: 'auto' },
    initSeed: 7,
    rank: 0,
    worldSize: 1,
  })
})

test('each optimizer has its own defaults, and native gets them', () => {
  const of = (change: object) =>
    nativeConfig(define({ ...correct(), optim: { ...correct().optim, ...change } }), 20).optim
  const both = { weightDecay: 5e-4, decayNormAndBias: true, headLrScale: 1 }
  expect(of({})).toEqual({ name: 'sgd', momentum: 0.9, nesterov: false, ...both })
  expect(of({ name: 'adamw', eps: 1e-6, ema: {}, clipGradNorm: 2 })).toEqual({
    ...{ name: 'adamw', betas: [0.9, 0.999], eps: 1e-6, ...both },
    ...{ ema: { decay: 0.999, warmupSteps: 0 }, clipGradNorm: 2 },
  })
})

test('deterministic turns the timing of algorithms off, and leaves the key as it was written', () => {
  const config = define({ ...correct(), deterministic: true, tf32: false, cudaGraph: 'off' })
  const settings = { cudnnBenchmark: false, tf32: false, deterministic: true, cudaGraph: 'off' }
  expect(nativeConfig(config, 20).settings).toEqual(settings)
  expect(config.cudnnBenchmark).toBe(true)
})

test.each([
  correct(),
  { ...correct(), deterministic: true, cudnnBenchmark: false, tf32: false, cudaGraph: 'off' },
  { ...correct(), loss: { name: 'cross-entropy' }, device: 'cuda', about: 'words', name: 'run-1' },
  { ...correct(), loss: { name: 'mc', mu: 1, lambda: 2, keep: 0.3 } },
  { ...correct(), loss: { name: 'mc', preset: 'finetune' }, best: { metric: 'loss' } },
  { ...correct(), loss: { name: 'center', labelSmoothing: 0.1 } },
  { ...correct(), loss: { name: 'lmcl', scale: 16 } },
  { ...correct(), optim: { ...correct().optim, name: 'adamw', clipGradNorm: 1, ema: {} } },
  { ...correct(), loss: { name: 'a-softmax', margin: 2 } },
  { ...correct(), loss: { name: 'coco' } },
  { ...correct(), loss: { name: 'mc', alpha: 1, beta: 2, impl: 'reference', pool: 'mean' } },
  withValue('data.crop', [32, 40]),
  { ...correct(), optim: { ...correct().optim, schedule: 'multi-step', milestones: [1, 3] } },
])('a configuration survives the way through JSON: %j', (input) => {
  const config = define(input)
  expect(define(JSON.parse(JSON.stringify(configToJson(config))))).toEqual(config)
})

test("what JSON cannot hold becomes 'own', and the rest survives", () => {
  const optim = { ...correct().optim, schedule: () => 0.1 }
  const config = define({ ...correct(), data: { dataset, resize: 32 }, optim })
  const json = JSON.parse(JSON.stringify(configToJson(config)))
  expect(json).toMatchObject({ data: { name: 'own' }, optim: { schedule: 'own' } })
  expect(json.data).not.toHaveProperty('dataset')
  expect(define(json).data).toMatchObject({ resize: [32, 32], padding: 4 })
})

test('a home sign is refused wherever a folder would be made or read', () => {
  const { data, model, ...rest } = correct()
  const input = {
    ...rest,
    out: '~/runs',
    data: { ...data, root: '~', storeDir: '~/s' },
    model: { ...model, weights: '~/w' },
  }
  for (const part of [
    `out: ~ is put in by shells alone: write ${join(homedir(), 'runs')}, or ./~/runs`,
    `data.root: ~ is put in by shells alone: write ${homedir()}, or ./~`,
    'data.storeDir: ~',
    'model.weights: ~',
  ]) {
    expect(() => define(input)).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining(part) }),
    )
  }
  expect(define({ ...correct(), out: './~' }).out).toMatch(/\/~$/)
  expect(define({ ...correct(), out: '~old' }).out).toMatch(/\/~old$/)
})

test.each(['__proto__', 'constructor', 'toString'])('%s is an unknown key', (key) => {
  const input = { ...correct(), ...JSON.parse(`{"${key}": {"seed": 4}}`) }
  Object.defineProperty(input, key, { value: {}, enumerable: true })
  expect(() => define(input)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(`${key}: unknown key. Known keys`),
    }),
  )
})

test('a script may change its Dataset, and go to another folder, after the call', () => {
  const own = { ...dataset, train: [{ path: 'a.png', label: 0, cropBottom: 1 }] }
  const { dataset: copy } = completeConfig('train', {
    ...correct(),
    data: { dataset: own, resize: 32 },
  } as unknown as ConfigInput).data
  own.train.length = 0
  own.classes.push('late')
  expect(copy?.train).toEqual([{ path: resolve('a.png'), label: 0, cropBottom: 1 }])
  expect(copy?.classes).not.toContain('late')
})
