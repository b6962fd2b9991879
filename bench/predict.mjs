// Claim: files to probabilities is faster than timm at its best settings (bench/peers/predict.py), and
// the networks see the same. Both sides are long-lived; starting them and their first pass over the files
// are left out.
//
//   npm run bench -- predict [--model resnet18] [--python PATH] [--dry]

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { writeDrawnBirds } from '../dist/data/datasets/drawn-birds.js'
import { imageFolder } from '../dist/data/datasets/image-folder.js'
import { createPredictor } from '../dist/index.js'
import { scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'
import { mean, seed, std } from './train-setup.mjs'
import { untrainedModel } from './untrained.mjs'

const options = readOptions({
  model: '', // resnet50 or resnet18; left out: both
  images: 128, // files
  side: 500, // of the files, pixels
  size: 224, // of what the network sees
  batch: 32,
  classes: 200,
  workers: 2, // of the peer
  threads: availableParallelism(),
  rounds: 5,
  python: 'python3',
  dry: false, // print only
})
const { images, side, size, batch, classes, workers, threads, rounds, python, dry } = options
const torch = requirePython(python, ['safetensors', 'numpy', 'PIL'])
const dir = scratchDir()
const resize = Math.ceil((size * 8) / 7)
const root = join(dir, 'birds')
await writeDrawnBirds({ root, classes: 2, trainPerClass: images / 2, testPerClass: 1, size: side })
const paths = (await imageFolder({ root })).train.map(({ path }) => path)

for (const model of options.model ? [options.model] : ['resnet50', 'resnet18']) {
  await measure(model, await writeModel(model))
}

/** A model file with initial weights. */
function writeModel(backbone) {
  const config = {
    ...{ seed, threads },
    data: { name: 'image-folder', root, resize, crop: size, mean, std },
    model: { backbone, head: 'torchvision' },
    loss: { name: 'cross-entropy' },
    optim: { lr: 1, epochs: 1, batchSize: batch },
  }
  return untrainedModel(config, classes, dir)
}

async function measure(model, weights) {
  const peer = startPeer(python, 'predict.py')
  const setting = { model, classes, weights, paths, resize, size, batch, workers, threads }
  const { timm } = await peer.ask('setup', { ...setting, mean, std })
  const predictor = await createPredictor({ weights, threads, batchSize: batch })
  const ours = async () => {
    const began = performance.now()
    const answers = await predictor.predict(paths, { top: 5 })
    return { ms: performance.now() - began, images: answers.length }
  }
  await ours()
  const check = compared(
    (await peer.ask('embed', { count: 8 })).embeddings,
    await predictor.embed(paths.slice(0, 8)),
  )
  const { a, b } = await interleave(rounds, () => peer.ask('predict'), ours)
  peer.close()
  await predictor.dispose()
  const rate = (all) => all.map((one) => (1000 * one.images) / one.ms)
  console.log(`\n${model}\npeer  ${spread(rate(a))} images/s\nours  ${spread(rate(b))} images/s`)
  record(
    {
      claim: 'predict-files',
      setting: `${model} ${size} px b${batch}, JPEG files of ${side} px`,
      sample: `${images} files, ${rounds} rounds`,
      threads,
      peer: figure(`timm ${timm}, PyTorch ${torch}, ${workers} workers`, 'images/s', rate(a)),
      ours: figure('mcloss, createPredictor', 'images/s', rate(b)),
      ratio: ratioOf(rate(b), rate(a)),
      check,
    },
    dry,
  )
}

/** The inputs of the last layer, by image. */
function compared(theirs, ours) {
  let [apart, largest] = [0, 0]
  for (const [n, row] of theirs.entries()) {
    for (const [d, value] of row.entries()) {
      apart = Math.max(apart, Math.abs(value - ours[n].embedding[d]))
      largest = Math.max(largest, Math.abs(value))
    }
  }
  const share = apart / largest
  return {
    ok: share < 0.01,
    text: `same files and weights; embeddings of 8 images apart by ${share.toExponential(1)} of the largest value`,
  }
}
