// What a PyTorch run of the demo needs to do the same as ours: the decoded pixels, the initial
// weights, and for every step samples, windows, mask and learning rate, as raw files.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { nativeConfig } from '../dist/config/index.js'
import { window } from '../dist/data/augment.js'
import { batches, order } from '../dist/data/sampler.js'
import { datasets, loader, makeSchedule, Trainer } from '../dist/index.js'
import { recipeOf } from './demo-recipes.mjs'
import { resultFile } from './kept-runs.mjs'

/** Writes the files of one run under WORK/peer; -> the path of the request for peers/demo.py. */
export async function writePeerRequest(run, { work, threads }) {
  const { config, loss } = run
  const dataset = await datasets.openDataset(config.data)
  const images = join(work, 'peer')
  const plan = join(images, `seed-${config.seed}`)
  mkdirSync(plan, { recursive: true })
  await writePixels(dataset, config, images)

  const { steps, order: samples, windows } = planOf(dataset, config)
  await checkAgainstLoader(dataset, config, steps, samples, windows)
  const masks = loss === 'mc' ? masksOf(config, dataset.classes.length, steps) : undefined
  writeFileSync(join(plan, 'order.bin'), samples)
  writeFileSync(join(plan, 'windows.bin'), windows)
  if (masks) writeFileSync(join(plan, 'masks.bin'), masks)
  const trainer = await Trainer.create(config, dataset.classes.length)
  await trainer.save(plan, {})
  await trainer.dispose()

  const stepsPerEpoch = steps.length / config.optim.epochs
  const lrAt = makeSchedule(config, stepsPerEpoch)
  const { model, loss: lossConfig, optim, mean, std } = nativeConfig(config, dataset.classes.length)
  if (optim.headLrScale !== 1) throw new Error('demo-plan: the peer knows one learning rate only.')
  const { resize, crop, padding } = config.data
  const request = {
    ...{ images, plan, weights: join(plan, 'model.safetensors'), threads },
    ...{ model, loss: lossConfig, optim, mean, std, resize, crop, padding },
    counts: steps.map(({ count }) => count),
    epochs: steps.map(({ epoch }) => epoch),
    lr: steps.map((_, step) => lrAt(step)),
    ...{ recipe: recipeOf(run), out: resultFile(run, work) },
  }
  const file = join(plan, `${loss}.json`)
  writeFileSync(file, JSON.stringify(request))
  return file
}

/** {train,test}-{pixels,labels}.bin and test-windows.bin, rows in the dataset's order. */
async function writePixels(dataset, config, folder) {
  const last = join(folder, 'test-windows.bin')
  if (existsSync(last)) return
  const whole = { ...config, optim: { ...config.optim, dropLast: false } }
  for (const split of ['train', 'test']) {
    const count = dataset[split].length
    const [height, width] = config.data.resize
    const row = height * width * 3
    const pixels = new Uint8Array(count * row)
    const labels = new Int32Array(count)
    const windows = new Int32Array(count * 3)
    for await (const batch of loader(dataset, whole, { split, epoch: 0 })) {
      for (const [i, sample] of batch.samples.entries()) {
        pixels.set(batch.pixels.subarray(i * row, (i + 1) * row), sample * row)
        labels[sample] = batch.labels[i]
        windows.set(batch.windows.subarray(i * 3, i * 3 + 3), sample * 3)
      }
      batch.release()
    }
    writeFileSync(join(folder, `${split}-pixels.bin`), pixels)
    writeFileSync(join(folder, `${split}-labels.bin`), labels)
    if (split === 'test') writeFileSync(last, windows)
  }
}

/** Every step of the run: {epoch, count}, and the samples and windows of all steps in a row. */
function planOf(dataset, { seed, data, optim }) {
  const steps = []
  const samples = []
  const windows = []
  for (let epoch = 0; epoch < optim.epochs; epoch++) {
    const sequence = order(dataset.train.length, seed, epoch)
    for (const batch of batches(sequence, optim.batchSize, optim.dropLast)) {
      steps.push({ epoch, count: batch.length })
      for (const sample of batch) {
        const { top, left, flip } = window(seed, epoch, sample, data, 'train')
        samples.push(sample)
        windows.push(top, left, flip ? 1 : 0)
      }
    }
  }
  return { steps, order: Int32Array.from(samples), windows: Int32Array.from(windows) }
}

/** The plan is made from the pure functions; the loader, which decodes, must say the same. */
async function checkAgainstLoader(dataset, config, steps, samples, windows) {
  let [step, at] = [0, 0]
  for await (const batch of loader(dataset, config, { split: 'train', epoch: 0 })) {
    const same =
      batch.count === steps[step++].count &&
      batch.samples.every((sample, i) => sample === samples[at + i]) &&
      batch.windows.every((value, i) => value === windows[at * 3 + i])
    if (!same) throw new Error(`demo-plan: batch ${step} differs from the loader's.`)
    at += batch.count
    batch.release()
  }
}

/** u8 [steps, C]: the masks native draws. */
function masksOf(config, classes, steps) {
  const { channels } = native().mapShape(nativeConfig(config, classes).model)
  const { keep, maskScope } = config.loss
  if (maskScope !== 'batch') throw new Error('demo-plan: the peer knows one mask a batch only.')
  const masks = new Uint8Array(steps.length * channels)
  for (const [step, { count }] of steps.entries()) {
    const request = { channels, classes, keep, maskScope, seed: config.seed, step, samples: count }
    masks.set(native().cwaMask(request), step * channels)
  }
  return masks
}
