// The recipes against the table of the published settings, written down here a second time.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../lib/binding.js'
import { loadConfigFile } from '../../lib/config/file.js'
import { configToJson, defineConfig, nativeConfig } from '../../lib/config/index.js'
import { makeSchedule } from '../../lib/train/schedule.js'
import { weightRecord } from '../../lib/weights/records.js'

const folder = join(import.meta.dirname, '../..', 'examples', 'recipes')
const half = [0.5, 0.5, 0.5]

const scratch = {
  data: { name: 'cub200', resize: [224, 224], crop: [224, 224], padding: 4, flip: true },
  model: { head: 'two-layer', channelsPerClass: 3 },
  loss: { name: 'mc', form: 'official', alpha: 1.5, beta: 20, keep: 'ceil-half' },
  optim: { lr: 0.1, headLr: 0.1, batchSize: 32, dropLast: true, epochs: 300 },
  rates: { 0: 0.1, 149: 0.1, 150: 0.01, 224: 0.01, 225: 0.001, 299: 0.001 },
}
const pretrained = {
  data: { name: 'cub200', resize: [600, 600], crop: [448, 448], padding: 0, flip: true },
  model: { head: 'two-layer', channelsPerClass: undefined },
  loss: { name: 'mc', form: 'official', alpha: 0.0005, beta: 0.01, keep: 0.6 },
  optim: { lr: 0.01, headLr: 0.1, batchSize: 64, epochs: 300 },
  rates: { 0: 0.01, 100: 0.0075, 150: 0.005, 200: 0.0025 }, // cosine: cos(pi/3) = 1/2
}
const table: Record<string, Record<string, object>> = {
  'cub-vgg16-scratch': { ...scratch, model: { ...scratch.model, backbone: 'vgg16_bn' } },
  'cub-resnet18-scratch': { ...scratch, model: { ...scratch.model, backbone: 'resnet18' } },
  'cub-resnet50-pretrained': {
    ...pretrained,
    model: { ...pretrained.model, backbone: 'resnet50', weights: resolve('resnet50.safetensors') },
  },
  'cub-resnet50-pretrained-paper': {
    ...pretrained,
    model: { ...pretrained.model, backbone: 'resnet50', weights: resolve('resnet50.safetensors') },
    loss: { name: 'mc', form: 'paper', mu: 0.005, lambda: 10, keep: 'ceil-half' },
    optim: { lr: 1e-4, headLr: 1e-2, epochs: 300 },
    rates: { 0: 1e-4, 149: 1e-4, 150: 1e-5, 225: 1e-6, 299: 1e-6 },
  },
  'cub-vgg16-pretrained': {
    ...pretrained,
    model: { ...pretrained.model, backbone: 'vgg16', weights: resolve('vgg16.safetensors') },
  },
}
/** Sets the authors' code has no settings for: those of CUB, with the set's own classes. */
const others = {
  aircraft: { name: 'fgvc-aircraft', title: 'FGVC-Aircraft', classes: 100 },
  flowers: { name: 'flowers102', title: 'Flowers-102', classes: 102 },
  cars: { name: 'stanford-cars', title: 'Stanford Cars', classes: 196 },
}
for (const [set, { name }] of Object.entries(others)) {
  const [fromScratch, fineTuned] = [table['cub-vgg16-scratch'], table['cub-resnet50-pretrained']]
  table[`${set}-vgg16-scratch`] = { ...fromScratch, data: { ...scratch.data, name } }
  table[`${set}-resnet50-pretrained`] = { ...fineTuned, data: { ...pretrained.data, name } }
}
/** Label smoothing of 0.1 over the other classes: eps / classes = 0.1 / (classes - 1). */
const baselines = {
  cub: { name: 'cub200', title: 'CUB-200-2011', classes: 200, top1: 0.8674 },
  aircraft: { ...others.aircraft, top1: 0.9325 },
  cars: { ...others.cars, top1: 0.9409 },
}
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
for (const [set, { name, classes }] of Object.entries(baselines)) {
  table[`${set}-resnet50-pretrained-cross-entropy`] = {
    data: { ...imageNet, name, resize: [512, 512], crop: [448, 448], padding: 8, flip: true },
    model: {
      ...pretrained.model,
      ...(table['cub-resnet50-pretrained'] as { model: object }).model,
      head: 'linear',
    },
    loss: {
      name: 'cross-entropy',
      labelSmoothing: expect.closeTo((0.1 * classes) / (classes - 1), 15),
    },
    optim: { lr: 0.025, headLr: 0.025, batchSize: 64, dropLast: true, epochs: 128 },
    rates: { 0: 0.025, 32: (0.025 * (1 + Math.SQRT1_2)) / 2, 64: 0.0125 },
  }
}
/** B-CNN in two steps, the second from the run of the first. */
const bilinear = {
  data: { ...imageNet, name: 'cub200', resize: [448, 448], crop: [448, 448], padding: 0 },
  loss: { name: 'cross-entropy' },
}
const bilinearModel = {
  ...{ backbone: 'vgg16', head: 'bilinear', pooling: 'sum', channelsPerClass: undefined },
}
table['cub-vgg16-bilinear-head'] = {
  ...bilinear,
  model: { ...bilinearModel, weights: resolve('vgg16.safetensors') },
  optim: {
    ...{ lr: 1, headLr: 1, batchSize: 64, epochs: 55, weightDecay: 1e-8 },
    freezeBackboneEpochs: 55,
  },
  rates: { 0: 1, 11: (1 + Math.cos(Math.PI / 5)) / 2 },
}
table['cub-vgg16-bilinear'] = {
  ...bilinear,
  model: {
    ...bilinearModel,
    ...{ weights: resolve('runs', 'cub-vgg16-bilinear-head'), weightsPart: 'all' },
  },
  optim: {
    ...{ lr: 0.01, headLr: 0.01, batchSize: 64, epochs: 25, weightDecay: 1e-5 },
    freezeBackboneEpochs: 0,
  },
  rates: { 0: 0.01, 5: 0.01 * ((1 + Math.cos(Math.PI / 5)) / 2) },
}
const names = Object.keys(table)
const isBilinear = (name: string) => name.includes('bilinear')
const isBaseline = (name: string) => name.endsWith('cross-entropy')

test('every recipe of the folder is in the table', () => {
  expect(readdirSync(folder).sort()).toEqual(names.map((name) => `${name}.json`).sort())
})

test.each(names)('%s has the settings of the table', async (name) => {
  const config = defineConfig(await loadConfigFile(join(folder, `${name}.json`)))
  const { rates, model, ...settings } = table[name] as { rates: object; model: object }
  expect(config).toMatchObject({
    ...settings,
    data: { ...scratch.data, mean: half, std: half, ...(settings as { data: object }).data },
  })
  expect({ channelsPerClass: undefined, ...config.model }).toEqual(model)
  const { optim } = settings as { optim: object }
  expect(config.optim).toMatchObject({
    ...{ momentum: 0.9, weightDecay: 5e-4, warmupEpochs: 0 },
    ...optim,
  })
  const stepsPerEpoch = 93 // 5,994 images in batches of 64
  const lrAt = makeSchedule(config, stepsPerEpoch)
  for (const [epoch, rate] of Object.entries(rates)) {
    expect(lrAt(Number(epoch) * stepsPerEpoch), `epoch ${epoch}`).toBeCloseTo(rate, 12)
    expect(lrAt((Number(epoch) + 1) * stepsPerEpoch - 1), `epoch ${epoch}`).toBeCloseTo(rate, 12)
  }
})

/** The feature maps that the text and the table name; ResNet-50 at stride 32: 448 / 32 = 14. */
test.each([
  ['cub-vgg16-scratch', { channels: 600, height: 14, width: 14 }],
  ['cub-resnet18-scratch', { channels: 600, height: 14, width: 14 }],
  ['cub-resnet50-pretrained', { channels: 2048, height: 14, width: 14 }],
  ['cub-resnet50-pretrained-paper', { channels: 2048, height: 14, width: 14 }],
  ['cub-vgg16-pretrained', { channels: 512, height: 28, width: 28 }],
  ['cub-vgg16-bilinear-head', { channels: 512, height: 28, width: 28 }],
  ['cub-vgg16-bilinear', { channels: 512, height: 28, width: 28 }],
  ...Object.entries(others).flatMap(([set, { classes }]) => [
    [`${set}-vgg16-scratch`, { channels: 3 * classes, height: 14, width: 14 }, classes] as const,
    [`${set}-resnet50-pretrained`, { channels: 2048, height: 14, width: 14 }, classes] as const,
  ]),
  ...Object.entries(baselines).map(([set, { classes }]) => [
    `${set}-resnet50-pretrained-cross-entropy`,
    { channels: 2048, height: 14, width: 14 },
    classes,
  ]),
] as [string, object, number?][])(
  '%s has the feature map %j',
  async (name, shape, classes = 200) => {
    const config = defineConfig(await loadConfigFile(join(folder, `${name}.json`)))
    expect(native().mapShape(nativeConfig(config, classes).model)).toEqual(shape)
  },
)

test.each([
  ['aircraft', '52 variants 20 channels and 48 variants 21'],
  ['flowers', '94 classes 20 channels and 8 classes 21'],
  ['cars', '108 classes 10 channels and 88 classes 11'],
] as const)('%s: the groups that the recipe names are those of its classes', (set, words) => {
  const recipe = readFileSync(join(folder, `${set}-resnet50-pretrained.json`), 'utf8')
  expect(recipe).toContain(words)
  const sizes = native().channelGroups(2048, others[set].classes)
  const [, few, small, many, large] =
    /(\d+) \w+ (\d+) channels and (\d+) \w+ (\d+)/.exec(words) ?? []
  for (const [count, size] of [
    [few, small],
    [many, large],
  ]) {
    expect(sizes.filter((one) => one === Number(size))).toHaveLength(Number(count))
  }
})

test.each(names.filter((name) => /pretrained|bilinear-head/.test(name)))(
  '%s says which weights it wants, and how to get and use them',
  (name) => {
    const { about, model } = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
    const weights = `${model.backbone}.tv_in1k`
    expect(weightRecord(weights)).toBeDefined()
    expect(about).toContain(
      `${weights}: 'mcloss weights fetch ${weights}', then 'mcloss train ${name}.json ` +
        `--model.weights ${weights}'.`,
    )
  },
)

const explicit: Record<string, string[]> = {
  data: ['root', 'resize', 'crop', 'padding', 'flip', 'mean', 'std'],
  model: ['backbone', 'head'],
  loss: ['name'],
  optim: ['lr', 'headLr', 'momentum', 'weightDecay', 'schedule', 'epochs', 'batchSize', 'dropLast'],
}

test.each(names)('%s states its settings itself and says what is known of it', (name) => {
  const recipe = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  for (const [part, keys] of Object.entries(explicit)) {
    expect(Object.keys(recipe[part])).toEqual(expect.arrayContaining(keys))
  }
  const isPlain = isBaseline(name) || isBilinear(name)
  expect(recipe.loss).toHaveProperty(isPlain ? 'labelSmoothing' : 'keep')
  const set = others[name.split('-')[0] as keyof typeof others]
  expect(recipe.about).toContain(set?.title ?? 'CUB-200-2011')
  expect(recipe.about).toMatch(/Not yet run here/)
  // Every percentage in the words is one that has been published.
  const published =
    /^(59\.41|45\.70|65\.98|90\.85|90\.34|67\.33|87\.3|87\.26|86\.96|86\.97|86\.56|86\.38|86\.74|93\.25|94\.09|76\.77|84\.10|84\.17)$/
  for (const [, figure = ''] of recipe.about.matchAll(/([\d.]+) %/g)) {
    expect(figure).toMatch(published)
  }
  const isOurs = set !== undefined || name === 'cub-vgg16-pretrained'
  expect(recipe.about.startsWith('Ours')).toBe(isOurs && !isBaseline(name))
  expect(recipe.about.startsWith("Not the paper's")).toBe(isBaseline(name))
})

/** Recipes whose settings a result was published for; of the others none is known. */
const published: Record<string, number> = {
  'cub-resnet18-scratch': 0.5941,
  'cub-vgg16-scratch': 0.6598,
  'cub-resnet50-pretrained': 0.8726,
  'cub-vgg16-bilinear': 0.8417,
  'cub-vgg16-bilinear-head': 0.7677,
  ...Object.fromEntries(
    Object.entries(baselines).map(([set, { top1 }]) => [
      `${set}-resnet50-pretrained-cross-entropy`,
      top1,
    ]),
  ),
}

test('the second step of B-CNN begins with the run of the first', async () => {
  const configOf = async (name: string) =>
    defineConfig(await loadConfigFile(join(folder, `${name}.json`)))
  const [head, whole] = [
    await configOf('cub-vgg16-bilinear-head'),
    await configOf('cub-vgg16-bilinear'),
  ]
  expect(whole.model.weights).toBe(join(head.out, head.name as string))
})

test.each(names)('%s has the published result of its settings, if there is one', async (name) => {
  const config = defineConfig(await loadConfigFile(join(folder, `${name}.json`)))
  expect(config.published?.top1).toBe(published[name])
  if (!config.published) return
  expect(config.published.source).toMatch(/paper|authors' log|cyizhuo|HaoMood/)
  expect(config.about).toContain(`${(100 * config.published.top1).toFixed(2)} %`)
  expect(configToJson(config)).toMatchObject({ published: config.published })
  expect(JSON.stringify(nativeConfig(config, 200))).not.toContain('published')
})
