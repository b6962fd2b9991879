// A small VGG on drawn birds in two stages: many images of 40 kinds, then few of 20 others.

import { join } from 'node:path'
import { train } from '../dist/index.js'
import { mean } from './statistics.mjs'

/** 40 classes * 3 channels and 20 * 6 give the last convolution one width. */
export const stages = {
  first: { classes: 40, firstClass: 0, channelsPerClass: 3, batchSize: 32 },
  second: { classes: 20, firstClass: 40, channelsPerClass: 6, batchSize: 20 },
}

/** Options of a bench of two stages. */
export const stageOptions = {
  seeds: 3, // two or more
  firstEpochs: 30,
  firstImages: 30, // of each of the 40 kinds
  epochs: 30,
  images: 5, // of each of the 20 kinds
  testImages: 50,
}

/** One training run by cross entropy, `optim` over the settings that both stages share; -> its result. */
export async function birdsRun({ threads, testImages }, dir, given) {
  const { name, seed, epochs, batchSize, channelsPerClass, weights, optim, best, ...birds } = given
  const training = train({
    ...{ seed, threads, out: dir, name },
    data: {
      name: 'drawn-birds',
      root: join(dir, `birds-${birds.firstClass}`),
      ...{ ...birds, testPerClass: testImages, size: 112, resize: 112, crop: 112, padding: 4 },
    },
    model: {
      ...{ backbone: 'vgg-small', head: 'two-layer', channelsPerClass },
      ...(weights && { weights }),
    },
    loss: { name: 'cross-entropy' },
    optim: { lr: 0.05, epochs, batchSize, ...optim },
    ...(best && { best }),
    evalEvery: epochs,
    checkpointEvery: epochs,
  })
  return training.result
}

/** Top-1 % by seed as a side of a row. */
export function sideOf(name, values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return { name, value: Number(mean(values).toFixed(4)), low, high, unit: '%', values }
}
