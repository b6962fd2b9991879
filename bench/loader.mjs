// Claims: the first epoch, JPEG files to a decoded store, is faster than PIL in a
// PyTorch DataLoader on the same cores; gather_augment is faster than slicing tensors and near the
// speed of memory; later epochs cost what training on one resident batch costs.
//
//   npm run bench -- loader [--only first|gather|later] [--python PATH] [--dry]

import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { native } from '../dist/binding.js'
import { writeDrawnBirds } from '../dist/data/datasets/drawn-birds.js'
import { imageFolder } from '../dist/data/datasets/image-folder.js'
import { loader } from '../dist/data/loader.js'
import { openStores } from '../dist/data/store/index.js'
import { scratchDir } from './batches.mjs'
import { startSide } from './mc-loss-side.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './record.mjs'
import { figure, interleave, median, ratioOf, spread } from './statistics.mjs'
import { nativeConfig, optim, runSteps, seed } from './train-setup.mjs'

const options = readOptions({
  only: '', // first, gather or later
  rounds: 5,
  images: 256, // files of the first epoch
  side: 500, // of the files, pixels
  runs: 30, // batches of gather_augment
  threads: availableParallelism(),
  python: 'python3',
  dry: false, // print only
})
const { rounds, images, threads, python, dry } = options
const dir = scratchDir()
const torch = requirePython(python, ['numpy', 'PIL'])

if ('first'.includes(options.only)) await firstEpoch()
if ('gather'.includes(options.only)) {
  for (const keeps of [true, false]) {
    await gather({ side: 600, size: 448, batch: 32, stored: 96, keeps })
    await gather({ side: 256, size: 224, batch: 32, stored: 320, keeps })
  }
}
if ('later'.includes(options.only)) await laterEpochs()

/** A data set of `count` training files in two classes. */
async function birds(count, size) {
  const root = join(dir, `birds-${size}`)
  await writeDrawnBirds({ root, classes: 2, trainPerClass: count / 2, testPerClass: 1, size })
  return imageFolder({ root })
}

function storeOptions(name, resize, store = 'mmap') {
  const data = { resize: [resize, resize], decoders: 4, store, onBadImage: 'error' }
  return { out: join(dir, name), device: 'cpu', data }
}

function loaderOptions(resize, crop, batchSize) {
  const data = {
    ...{ resize: [resize, resize], crop: [crop, crop], padding: 0, flip: true },
    ...{ prefetch: 2, decoders: 4 },
  }
  return { seed, data, optim: { batchSize, dropLast: true } }
}

async function firstEpoch() {
  const [resize, crop, batch] = [600, 448, 32]
  const dataset = await birds(images, options.side)
  const paths = dataset.train.map(({ path }) => path)
  const peer = startPeer(python, 'loader.py')
  await peer.ask('setup', { paths, resize, crop, batch, workers: threads })
  // A new store each round.
  const ours = async () => {
    rmSync(join(dir, 'first'), { recursive: true, force: true })
    const began = performance.now()
    const stores = await openStores(dataset, storeOptions('first', resize))
    const ms = performance.now() - began
    stores.close()
    return { ms, images: dataset.train.length + dataset.test.length }
  }
  const { a, b } = await interleave(rounds, () => peer.ask('epoch'), ours)
  peer.close()
  const rate = (all) => all.map((one) => (1000 * one.images) / one.ms / threads)
  const peerName = `PIL in a DataLoader of PyTorch ${torch}, ${threads} workers`
  console.log(`\nfirst epoch\npeer  ${spread(rate(a))} images/s per core\nours  ${spread(rate(b))}`)
  record(
    {
      claim: 'first-epoch',
      setting: `JPEG files of ${options.side} px, resize ${resize}, crop ${crop}`,
      sample: `${images} files, ${rounds} rounds`,
      threads,
      peer: figure(peerName, 'images/s per core', rate(a)),
      ours: figure('mcloss, to an open store', 'images/s per core', rate(b)),
      ratio: ratioOf(rate(b), rate(a)),
      check: {
        ok: true,
        text: 'same files; decoding and resize equal PIL within 1/255 (test/lib/data/images.test.ts)',
      },
    },
    dry,
  )
}

/** keeps: glibc keeps freed memory, so that the time is the operator's and not that of new pages. */
async function gather({ side, size, batch, stored, keeps }) {
  const settings = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 33) }
  if (keeps) Object.assign(process.env, settings)
  else for (const name of Object.keys(settings)) delete process.env[name]
  const { side: peer } = await startSide({ script: 'gather.py', python, threads: 1 })
  const { apart } = await peer.ask('case', { images: stored, side, size, batch })
  const { ours, slicing, copy, copyBytes } = await peer.ask('time', { runs: options.runs })
  peer.close()
  const rate = copyBytes / median(copy) / 1e6
  const moved = batch * size * size * (3 + 12) // u8 read, float32 written
  const own = moved / median(ours) / 1e6
  console.log(`\ngather_augment\npeer  ${spread(slicing)} ms\nours  ${spread(ours)} ms`)
  record(
    {
      claim: 'gather',
      setting: `store of ${side} px, crop ${size}, b${batch}, ${keeps ? 'memory kept' : 'new pages'}`,
      sample: `${options.runs} runs`,
      threads: 1,
      peer: figure(`PyTorch ${torch}, slicing`, 'ms', slicing),
      ours: figure('gather_augment', 'ms', ours),
      ratio: ratioOf(slicing, ours),
      also: [
        figure('gather_augment', 'GB/s', own),
        figure('copy', 'GB/s', rate),
        figure('gather_augment / copy', '%', (100 * own) / rate),
      ],
      check: { ok: apart < 1e-5, text: `largest difference ${apart.toExponential(1)}` },
    },
    dry,
  )
}

async function laterEpochs() {
  const [size, batch, count] = [112, 32, 512]
  const dataset = await birds(count, 128)
  const setting = { model: 'resnet18', loss: 'ce', size, classes: 2, threads }
  const stores = await openStores(dataset, storeOptions('later', 128))
  const trainer = await native().NativeTrainer.create(nativeConfig(setting))
  const all = loaderOptions(128, size, batch)
  let epoch = 0
  let step = 0
  const real = async () => {
    const began = performance.now()
    let previous = Promise.resolve()
    const source = stores.train
    for await (const one of loader(dataset, all, { split: 'train', epoch: epoch++, source })) {
      const current = trainer.step(one, { step: step++, seed, lr: optim.lr })
      await previous
      previous = current
    }
    await previous
    await trainer.stats()
    return { ms: performance.now() - began }
  }
  const pixels = new Uint8Array(batch * 128 * 128 * 3).map((_, i) => (i * 2654435761) >>> 24)
  const resident = {
    ...{ pixels, count: batch, height: 128, width: 128 },
    ...{ windows: new Int32Array(batch * 3).fill(1), labels: new Int32Array(batch) },
  }
  const still = () => runSteps(trainer, { at: () => resident }, 0, count / batch)
  await still()
  await real()
  const { a, b } = await interleave(rounds, still, real)
  await trainer.dispose()
  stores.close()
  const rate = (runs) => runs.map(({ ms }) => (1000 * count) / ms)
  console.log(
    `\nlater epochs\npeer  ${spread(rate(a))} images/s\nours  ${spread(rate(b))} images/s`,
  )
  record(
    {
      claim: 'later-epochs',
      setting: `ResNet-18 ${size} px b${batch}, store of 128 px`,
      sample: `${count} images, ${rounds} rounds`,
      threads,
      peer: figure('one resident batch', 'images/s', rate(a)),
      ours: figure('from the store', 'images/s', rate(b)),
      ratio: ratioOf(rate(b), rate(a)),
      check: { ok: true, text: 'the same trainer takes both in turns' },
    },
    dry,
  )
}
