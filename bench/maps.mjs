// What MC-Loss does to the maps, as numbers: how much the channels of a class lie in the same places, and
// how much of them lies on the bird and on the parts by which kinds differ. Before and after training, by
// MC-Loss and by cross entropy in the same network with the same groups. Whatever it shows.
//
//   npm run bench -- maps [--epochs N] [--seeds N] [--threads N] [--dry]
//
// Each run that is done is a line of bench/maps.jsonl and is not made again; when none is missing,
// docs/results/maps.md is written from the lines. --dry keeps both in the working folder.

import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode } from '../dist/data/images.js'
import { channelGroups, datasets, defineConfig, loader, Trainer, train } from '../dist/index.js'
import { classMapsOf } from '../dist/maps/class-maps.js'
import { areaInside, massInside, overlapOf } from '../dist/maps/overlap.js'
import { mapsPage } from './maps-page.mjs'
import { readOptions } from './options.mjs'
import { mean } from './statistics.mjs'

const CHANNELS_PER_CLASS = 3
const options = readOptions({ seeds: 3, epochs: 20, threads: 1, work: 'runs/maps', dry: false })
const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const [lines, page] = options.dry
  ? ['maps.jsonl', 'maps.md'].map((name) => resolve(options.work, name))
  : [here('maps.jsonl'), here('../docs/results/maps.md')]
const root = resolve(options.work, 'birds')

/** The best of six trials of each loss, on other images of these kinds. */
const losses = {
  'cross entropy': { loss: { name: 'cross-entropy' }, lr: 0.05 },
  'MC-Loss': { loss: { name: 'mc', alpha: 1.5, beta: 2, keep: 'ceil-half' }, lr: 0.1 },
}

function configOf(name, seed) {
  const { loss, lr } = losses[name]
  const { epochs, threads } = options
  return {
    ...{ seed, threads, out: resolve(options.work), name: `${loss.name}-${seed}` },
    data: {
      ...{ name: 'drawn-birds', root, masks: 'parts' },
      ...{ classes: 20, trainPerClass: 30, testPerClass: 25, size: 96, resize: 96, padding: 4 },
    },
    model: { backbone: 'vgg-small', head: 'two-layer', channelsPerClass: CHANNELS_PER_CLASS },
    loss,
    optim: { lr, epochs, batchSize: 32 },
    evalEvery: epochs,
    checkpointEvery: epochs,
  }
}

const recipeOf = (name, seed) => {
  const { threads: _, out: __, ...config } = configOf(name, seed)
  return JSON.stringify({ ...config, data: { ...config.data, root: '' } })
}

const kept = () =>
  existsSync(lines)
    ? readFileSync(lines, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : []

const runs = Array.from({ length: options.seeds }, (_, seed) =>
  Object.keys(losses).map((name) => ({ name, seed })),
).flat()
const resultOf = ({ name, seed }) => kept().find(({ recipe }) => recipe === recipeOf(name, seed))

for (const folder of [options.work, dirname(page)]) mkdirSync(folder, { recursive: true })
for (const run of runs) {
  if (resultOf(run)) continue
  const result = await measuredRun(run)
  appendFileSync(lines, `${JSON.stringify(result)}\n`)
  const { user, system } = process.cpuUsage()
  const minutes = ((user + system) / 6e7).toFixed(1)
  console.log(
    `${run.name}, seed ${run.seed}: top-1 ${result.top1}; ${minutes} processor minutes so far`,
  )
}
writeFileSync(page, mapsPage(runs.map(resultOf), configOf('MC-Loss', 0)))

async function measuredRun({ name, seed }) {
  const config = defineConfig(configOf(name, seed))
  const dataset = await datasets.openDataset(config.data)
  const began = performance.now()
  const before = await figuresOf(config, dataset)
  const { runDir, last } = await train(config).result
  const after = await figuresOf(config, dataset, join(runDir, 'last', 'model.safetensors'))
  const seconds = Math.round((performance.now() - began) / 1000)
  const date = new Date().toISOString().slice(0, 10)
  return { name, seed, top1: last.top1, before, after, seconds, date, recipe: recipeOf(name, seed) }
}

/** Means over the test images, of the channels of each image's own class. */
async function figuresOf(config, dataset, weights) {
  const trainer = await Trainer.create(config, dataset.classes.length)
  try {
    if (weights) await trainer.loadWeights(weights, { backboneOnly: false })
    const classes = dataset.classes.length
    const groups = channelGroups(classes * CHANNELS_PER_CLASS, classes)
    const all = []
    for await (const batch of loader(dataset, config, { split: 'test', epoch: 0 })) {
      const labels = Array.from(batch.labels, (label) => [label])
      const maps = await classMapsOf(trainer, batch, groups, labels)
      for (const [row, [own]] of maps.entries()) {
        all.push(await figuresOfImage(own, dataset.test[batch.samples[row]].path))
      }
      batch.release()
    }
    return Object.fromEntries(
      Object.keys(all[0]).map((key) => {
        const values = all.map((one) => one[key]).filter((value) => value !== undefined)
        return [key, Number(mean(values).toFixed(5))]
      }),
    )
  } finally {
    await trainer.dispose()
  }
}

async function figuresOfImage({ maps, shape, ccmp, h }, path) {
  const [channels, height, width] = shape
  const size = [height, width]
  const area = height * width
  const each = Array.from({ length: channels }, (_, at) =>
    maps.subarray(at * area, (at + 1) * area),
  )
  const [bird, parts] = await Promise.all(['masks', 'parts'].map((kind) => maskOf(path, kind)))
  const meanInside = (mask) => {
    const shares = each.map((map) => massInside(map, size, mask)).filter((v) => v !== undefined)
    return shares.length > 0 ? mean(shares) : undefined
  }
  return {
    overlap: overlapOf(maps, shape),
    hShare: h / channels,
    silent: each.filter((map) => map.every((value) => value === 0)).length / channels,
    channelsInBird: meanInside(bird),
    channelsInParts: meanInside(parts),
    ccmpInBird: massInside(ccmp, size, bird),
    ccmpInParts: massInside(ccmp, size, parts),
    birdArea: areaInside(bird),
    partsArea: areaInside(parts),
  }
}

async function maskOf(path, kind) {
  const file = join(root, kind, path.slice(root.length)).replace(/\.jpg$/, '.png')
  const { pixels, width, height } = await decode(file)
  return {
    inside: Uint8Array.from({ length: width * height }, (_, at) => pixels[at * 3]),
    width,
    height,
  }
}
