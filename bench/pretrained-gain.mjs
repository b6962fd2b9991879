// The first part of bench/pretrained.mjs: a small VGG of 40 kinds of drawn birds becomes the start for 20
// other kinds with few images each, by way of Python and each format of weights.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { birdsRun, sideOf, stages } from './birds-run.mjs'
import { peerScript } from './python.mjs'
import { pairedInterval, rounded } from './statistics.mjs'

const formats = {
  'zip .pth': 'backbone.zip.pth',
  'legacy .pth': 'backbone.legacy.pth',
  safetensors: 'backbone.safetensors',
}
/** -> the rows of 'pretrained-gain', one per format. */
export async function gainRows(options, dir) {
  const { python, seeds, epochs, firstEpochs, images, firstImages } = options
  const first = await birdsRun(options, dir, {
    ...{ ...stages.first, name: 'first', seed: 0, epochs: firstEpochs, trainPerClass: firstImages },
  })
  const written = spawnSync(
    python,
    [peerScript('pretrained.py'), 'write', join(first.runDir, 'last', 'model.safetensors'), dir],
    { stdio: 'inherit' },
  )
  if (written.status !== 0) throw new Error('pretrained: Python did not write the backbone.')
  const names = [undefined, ...Object.keys(formats)]
  const top1 = new Map(names.map((name) => [name, []]))
  for (let seed = 0; seed < seeds; seed++) {
    for (const format of names) {
      const weights = format && join(dir, formats[format])
      const name = `second-${seed}-${names.indexOf(format)}`
      const settings = { ...stages.second, name, seed, epochs, trainPerClass: images, weights }
      const { last } = await birdsRun(options, dir, settings)
      top1.get(format).push(rounded(100 * last.top1))
      console.log(`seed ${seed}, ${format ?? 'from scratch'}: top-1 ${rounded(100 * last.top1)} %`)
    }
  }
  return names.slice(1).map((format) => rowOf(format, top1, first, options))
}

function rowOf(format, top1, first, { threads, epochs, firstEpochs, seeds, images }) {
  const [ours, peer] = [format, undefined].map((name) => top1.get(name))
  const { mean: value, low, high } = pairedInterval(ours, peer)
  const smallest = Math.min(...ours.map((one, seed) => one - peer[seed]))
  const same = Object.keys(formats).every((name) => String(top1.get(name)) === String(ours))
  return {
    claim: 'pretrained-gain',
    setting: `${format}, vgg-small, ${images} images a class, ${epochs} epochs`,
    sample: `${seeds} seeds`,
    threads,
    peer: sideOf('from scratch', peer),
    ours: sideOf('fine-tuned', ours),
    ratio: {
      value: Number(value.toFixed(4)),
      low: rounded(low),
      high: rounded(high),
      unit: 'points',
    },
    also: [
      { name: 'smallest difference of a seed', value: rounded(smallest), unit: 'points' },
      { name: 'the first model', value: rounded(100 * first.last.top1), unit: '%' },
    ],
    check: {
      ok: same,
      text:
        `the formats ${same ? 'gave the same top-1 with every seed' : 'differ'}; the first model has ` +
        `${stages.first.classes} kinds and ${firstEpochs} epochs`,
    },
  }
}
