// The losses of the configuration: what each takes, what it refuses, what it becomes.

import { describe, expect, test } from 'vitest'
import { configKeys } from '../../../lib/config/file.js'
import {
  type ConfigInput,
  configToJson,
  defineConfig,
  forClasses,
  nativeConfig,
} from '../../../lib/config/index.js'
import { scalarOf } from '../../../lib/config/losses/index.js'

function withLoss(loss: object): ConfigInput {
  return {
    data: { name: 'drawn-birds', root: 'birds', resize: 64 },
    model: { backbone: 'toy', head: 'linear' },
    loss: loss as ConfigInput['loss'],
    optim: { lr: 0.1, epochs: 4, batchSize: 8 },
  }
}

function refusalOf(input: ConfigInput): string {
  try {
    defineConfig(input)
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_CONFIG' })
    return (error as Error).message
  }
  throw new Error(`accepted ${JSON.stringify(input)}`)
}

const refusal = (loss: object) => refusalOf(withLoss(loss))

const names =
  'a-softmax, arcface, center, coco, cosine-loss, cross-entropy, focal, lgm, lmcl, max-entropy, mc'
const common = { name: 'mc', keep: 'ceil-half', maskScope: 'batch', impl: 'fused' }
test.each([
  [
    { alpha: 3, beta: 0 },
    { ...common, form: 'official', alpha: 3, beta: 0 },
  ],
  [
    { mu: 0.005, lambda: 10, maskScope: 'sample' },
    { ...common, form: 'paper', mu: 0.005, lambda: 10, maskScope: 'sample' },
  ],
  [
    { alpha: 1, beta: 2, impl: 'reference' },
    { ...common, form: 'official', alpha: 1, beta: 2, impl: 'reference' },
  ],
  [
    { alpha: 1, beta: 2, impl: 'reference', pool: 'mean' },
    { ...common, form: 'official', alpha: 1, beta: 2, impl: 'reference', pool: 'mean' },
  ],
  [
    { alpha: 1, beta: 2, pool: 'max' },
    { ...common, form: 'official', alpha: 1, beta: 2 },
  ],
  [{ preset: 'scratch' }, { ...common, form: 'official', alpha: 1.5, beta: 20 }],
  [{ preset: 'finetune' }, { ...common, form: 'official', alpha: 0.0005, beta: 0.01, keep: 0.6 }],
  [
    { preset: 'finetune', keep: 1 },
    { ...common, form: 'official', alpha: 0.0005, beta: 0.01, keep: 1 },
  ],
])('mc %j', (weights, expected) => {
  expect(defineConfig(withLoss({ name: 'mc', ...weights })).loss).toEqual(expected)
})

test.each([
  ['no weights', {}, /loss\.name: mc needs its weights/],
  ['both forms', { alpha: 1, beta: 1, mu: 1, lambda: 1 }, /alpha and beta; mu and lambda/],
  ['halves of both', { alpha: 1, lambda: 1 }, /one way/],
  ['preset and weights', { preset: 'scratch', alpha: 1, beta: 1 }, /preset; alpha and beta/],
  ['alpha alone', { alpha: 1 }, /loss\.beta: missing/],
  ['beta alone', { beta: 1 }, /loss\.alpha: missing/],
  ['mu alone', { mu: 1 }, /loss\.lambda: missing/],
  ['lambda alone', { lambda: 1 }, /loss\.mu: missing/],
])('mc refuses %s', (_, weights, words) => {
  expect(refusal({ name: 'mc', ...weights })).toMatch(words)
})

test.each([
  [{ name: 'cross-entropy' }, { name: 'cross-entropy' }],
  [{ name: 'cross-entropy', labelSmoothing: 0 }, { name: 'cross-entropy' }],
  [
    { name: 'cross-entropy', labelSmoothing: 0.1 },
    { name: 'cross-entropy', labelSmoothing: 0.1 },
  ],
  [
    { name: 'mc', alpha: 1, beta: 2, labelSmoothing: 0.1 },
    { ...common, form: 'official', alpha: 1, beta: 2, labelSmoothing: 0.1 },
  ],
  [{ name: 'center' }, { name: 'center', weight: 0.003, centerRate: 0.5 }],
  [
    { name: 'center', weight: 0.01, centerRate: 1, labelSmoothing: 0.2 },
    { name: 'center', weight: 0.01, centerRate: 1, labelSmoothing: 0.2 },
  ],
  [{ name: 'lmcl' }, { name: 'lmcl', scale: 30, margin: 0.35 }],
  [{ name: 'focal' }, { name: 'focal', gamma: 2 }],
  [
    { name: 'a-softmax' },
    { name: 'a-softmax', margin: 4, lambdaStart: 1000, lambdaDecay: 0.12, lambdaMin: 5 },
  ],
  [{ name: 'coco' }, { name: 'coco' }],
  [
    { name: 'coco', scale: 12 },
    { name: 'coco', scale: 12 },
  ],
  [{ name: 'lgm' }, { name: 'lgm', alpha: 0.1, lambda: 0.1 }],
  [{ name: 'cosine-loss' }, { name: 'cosine-loss' }],
  [{ name: 'arcface' }, { name: 'arcface', scale: 30, margin: 0.3 }],
  [{ name: 'max-entropy' }, { name: 'max-entropy', gamma: 1 }],
  [
    { name: 'lmcl', scale: 64, margin: 0 },
    { name: 'lmcl', scale: 64, margin: 0 },
  ],
])('%j', (loss, expected) => {
  expect(defineConfig(withLoss(loss)).loss).toEqual(expected)
})

test('what runs before there were other losses have stored reads as it did', () => {
  const stored = { name: 'mc', keep: 0.6, maskScope: 'batch', impl: 'fused', alpha: 3, beta: 4 }
  expect(defineConfig(withLoss(stored)).loss).toEqual({ ...stored, form: 'official' })
  const ofPaper = { name: 'mc', keep: 1, maskScope: 'sample', impl: 'reference', mu: 3, lambda: 4 }
  expect(defineConfig(withLoss(ofPaper)).loss).toEqual({ ...ofPaper, form: 'paper' })
})

test.each([
  [
    { name: 'cross-entropy', keep: 0.5, mu: 1 },
    [
      'loss.keep: belongs to loss mc; loss cross-entropy takes labelSmoothing',
      'loss.mu: belongs to loss mc; loss cross-entropy takes labelSmoothing',
    ],
  ],
  [
    { name: 'lmcl', labelSmoothing: 0.1 },
    [
      'loss.labelSmoothing: belongs to loss center, cross-entropy, mc; loss lmcl takes scale, margin',
    ],
  ],
  [
    { name: 'mc', alpha: 1, beta: 1, margin: 0.1 },
    [
      'loss.margin: belongs to loss a-softmax, arcface, lmcl; loss mc takes preset, alpha, beta, ' +
        'mu, lambda, keep, maskScope, impl, pool, labelSmoothing',
    ],
  ],
  [{ name: 'center', wieght: 1 }, ["loss.wieght: unknown key. Did you mean 'weight'?"]],
  [
    { name: 'lmcl', temperature: 1 },
    ['loss.temperature: unknown key. Known keys: name, scale, margin.'],
  ],
  [{ name: 'triplet', gamma: 2 }, [`loss.name: expected one of ${names} (received "triplet")`]],
  [{ margin: 0.1 }, [`loss.name: expected one of ${names}`]],
  [
    { name: 'focal', gamma: 0.5 },
    [
      'loss.gamma: expected 0 or a number >= 1; in between the gradient at a sure right answer is ' +
        'infinite (received 0.5)',
    ],
  ],
  [
    { name: 'mc', alpha: 1, beta: 1, pool: 'mean' },
    [
      "loss.pool: mean needs impl: 'reference'; the fused operator has the maximum alone " +
        '(received "mean")',
    ],
  ],
])('%j is refused in words', (loss, lines) => {
  expect(refusal(loss).split('\n').slice(1, -1)).toEqual(lines.map((line) => `  ${line}`))
})

test('a flag of several losses says what it means to each', () => {
  const words = new Map(configKeys().map(({ path, description }) => [path, description]))
  const ofNames = words.get('loss.name')?.split('; ')
  expect(ofNames).toHaveLength(names.split(', ').length)
  expect(ofNames).toEqual(
    expect.arrayContaining([
      'center: cross entropy with the center loss',
      'cross-entropy: softmax cross entropy alone',
      'lmcl: the large margin cosine loss',
      'mc: cross entropy with the MC-Loss',
    ]),
  )
  expect(words.get('loss.labelSmoothing')).toBe(
    'center, cross-entropy, mc: share of the target that cross entropy spreads evenly over all classes',
  )
  expect(words.get('loss.margin')).toBe(
    'a-softmax: factor of the angle to the right class; arcface: added to the angle to the right ' +
      'class, radians; lmcl: taken off the cosine of the right class',
  )
})

const scheduled = ['a-softmax', 'lgm']
test.each(names.split(', ').filter((name) => !scheduled.includes(name)))(
  '%s has no schedule of its own',
  (name) => {
    const { loss } = defineConfig(withLoss({ name, ...(name === 'mc' && { preset: 'scratch' }) }))
    expect(scalarOf(loss, 100)).toBeUndefined()
  },
)

test('a-softmax: lambda falls from its start to its least, counted from step 1', () => {
  const { loss } = defineConfig(withLoss({ name: 'a-softmax' }))
  const lambda = scalarOf(loss, 5000)
  expect(lambda?.(0)).toBeCloseTo(1000 / 1.12, 12)
  expect(lambda?.(99)).toBeCloseTo(1000 / 13, 12)
  expect([lambda?.(1656), lambda?.(1658), lambda?.(4999)]).toEqual([
    expect.toSatisfy((value: number) => value > 5),
    5,
    5,
  ])
})

test('lgm: alpha rises from 0 over the first fifth of the steps', () => {
  const { loss } = defineConfig(withLoss({ name: 'lgm', alpha: 0.3 }))
  const alpha = scalarOf(loss, 1000)
  expect([0, 50, 100, 200, 201, 999].map((step) => alpha?.(step))).toEqual(
    [0, 0.075, 0.15, 0.3, 0.3, 0.3].map((value) => expect.closeTo(value, 12)),
  )
})

// Of the table of bounds for a probability of 0.999.
test.each([
  [200, 12.14],
  [196, 12.12],
  [102, 11.41],
  [100, 11.39],
])('coco: its scale for %d classes', (numClasses, scale) => {
  const config = defineConfig(withLoss({ name: 'coco' }))
  expect(config.model.classifier).toEqual({ kind: 'cosine' })
  const { loss, model } = nativeConfig(config, numClasses)
  expect(loss).toEqual({ name: 'coco', scale: expect.closeTo(scale, 2) })
  expect(model.classifier).toEqual({ kind: 'cosine', scale: loss.scale })
  // What a checkpoint keeps says the number, whatever the rule of a later version.
  const kept = forClasses(config, numClasses)
  expect(kept).toMatchObject({ loss, model: { classifier: model.classifier } })
  const stored = JSON.parse(JSON.stringify(configToJson(kept)))
  expect(defineConfig(stored)).toEqual(kept)
  expect(forClasses(kept, 7)).toEqual(kept)
})

test('coco: a scale that is given stays; two classes are the least', () => {
  const scaleOf = (loss: object, numClasses: number) =>
    nativeConfig(defineConfig(withLoss(loss)), numClasses).loss.scale
  expect(scaleOf({ name: 'coco', scale: 30 }, 200)).toBe(30)
  expect(scaleOf({ name: 'coco' }, 2)).toBeCloseTo(Math.log(999) / 2, 12)
  expect(scaleOf({ name: 'coco' }, 1)).toBeCloseTo(Math.log(999) / 2, 12)
})

describe('model.classifier', () => {
  const withClassifier = (loss: object, classifier: object | undefined): ConfigInput => {
    const { model, ...rest } = withLoss(loss)
    return { ...rest, model: { ...model, classifier } as ConfigInput['model'] }
  }
  const mc = { name: 'mc', preset: 'scratch' }

  test.each([
    [{ name: 'cross-entropy' }, undefined],
    [{ name: 'cross-entropy' }, { kind: 'linear' }],
    [mc, undefined],
    [{ name: 'center' }, { kind: 'linear' }],
    [{ name: 'focal' }, undefined],
    [{ name: 'cosine-loss' }, undefined],
    [{ name: 'max-entropy' }, { kind: 'linear' }],
  ])('%j, %j: linear, and stated nowhere', (loss, classifier) => {
    const config = defineConfig(withClassifier(loss, classifier))
    expect(config.model).toEqual({ backbone: 'toy', head: 'linear' })
    expect(nativeConfig(config, 20).model).not.toHaveProperty('classifier')
  })

  test.each([
    [{ name: 'lmcl' }, undefined, 30],
    [{ name: 'lmcl' }, { kind: 'cosine' }, 30],
    [{ name: 'lmcl', scale: 64 }, { kind: 'cosine', scale: 64 }, 64],
  ])(
    '%j, %j: cosine, stated in the configuration that a checkpoint keeps',
    (loss, given, scale) => {
      const config = defineConfig(withClassifier(loss, given))
      const classifier = { kind: 'cosine', scale }
      expect(config.model.classifier).toEqual(classifier)
      expect(nativeConfig(config, 20).model).toMatchObject({ classifier })
      const stored = JSON.parse(JSON.stringify(configToJson(config)))
      expect(stored.model.classifier).toEqual(classifier)
      expect(defineConfig(stored)).toEqual(config)
    },
  )

  test.each([
    [{ name: 'cross-entropy' }, { kind: 'cosine', scale: 30 }, '{"kind":"linear"}'],
    [mc, { kind: 'distance' }, '{"kind":"linear"}'],
    [{ name: 'center' }, { kind: 'linear', scale: 2 }, '{"kind":"linear"}'],
    [{ name: 'lmcl' }, { kind: 'linear' }, '{"kind":"cosine","scale":30}'],
    [{ name: 'lmcl' }, { kind: 'cosine', scale: 'norm' }, '{"kind":"cosine","scale":30}'],
    [{ name: 'lmcl', scale: 64 }, { kind: 'cosine', scale: 30 }, '{"kind":"cosine","scale":64}'],
    [{ name: 'coco' }, { kind: 'cosine', scale: 12 }, '{"kind":"cosine"}'],
    [{ name: 'arcface' }, { kind: 'linear' }, '{"kind":"cosine","scale":30}'],
    [{ name: 'a-softmax' }, { kind: 'cosine', scale: 30 }, '{"kind":"cosine","scale":"norm"}'],
    [{ name: 'lgm' }, { kind: 'linear' }, '{"kind":"distance"}'],
    [{ name: 'focal' }, { kind: 'distance' }, '{"kind":"linear"}'],
  ])('%j refuses %j', (loss, classifier, needed) => {
    expect(refusalOf(withClassifier(loss, classifier))).toContain(
      `\n  model.classifier: expected what loss ${loss.name} needs, ${needed}; leave ` +
        `model.classifier out or choose another loss (received ${JSON.stringify(classifier)})\n`,
    )
  })
})
