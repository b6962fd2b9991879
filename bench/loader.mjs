// Claims (goals 9 to 11): the first epoch, JPEG files to a decoded store, is faster than PIL in a
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
import { record } from './results.mjs'
import { interleave, median, spread } from './statistics.mjs'
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
  finish({
    setting: `first epoch, ${images} JPEG files of ${options.side} px, resize ${resize}, crop ${crop}`,
    peer: `${spread(rate(a))} images/s a core (PIL in a DataLoader of PyTorch ${torch}, ${threads} workers)`,
    ours: `${spread(rate(b))} images/s a core, to an open store`,
    ratios: rate(b).map((value, i) => value / rate(a)[i]),
    ratio: median(rate(b)) / median(rate(a)),
    goal: '>= 1.3',
    check: 'same files; decoding and resize equal PIL within 1/255 (test/lib/data/images.test.ts)',
  })
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
  finish({
    setting: `gather_augment, store of ${side} px, crop ${size}, b${batch}, 1 thread, ${keeps ? 'memory kept' : 'new pages'}`,
    peer: `slicing ${spread(slicing)} ms (PyTorch ${torch})`,
    ours: `${spread(ours)} ms, ${own.toFixed(1)} GB/s, ${((100 * own) / rate).toFixed(0)} % of a copy's ${rate.toFixed(1)} GB/s`,
    ratios: slicing.map((ms, i) => ms / ours[i]),
    ratio: median(slicing) / median(ours),
    goal: '>= 3',
    check: `largest difference ${apart.toExponential(1)}${apart < 1e-5 ? '' : ' VOID'}`,
  })
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
  finish({
    setting: `later epochs, ResNet-18 ${size} px b${batch}, store of 128 px, ${count} images`,
    peer: `${spread(rate(a))} images/s, one resident batch`,
    ours: `${spread(rate(b))} images/s from the store`,
    ratios: rate(b).map((value, i) => value / rate(a)[i]),
    ratio: median(rate(b)) / median(rate(a)),
    goal: '>= 0.97',
    check: 'the same trainer takes both in turns',
  })
}

function finish({ ratio, ratios, ...row }) {
  console.log(`\n${row.setting}\npeer  ${row.peer}\nours  ${row.ours}`)
  console.log(`ratio ${ratio.toFixed(3)} (by run ${spread(ratios, 3)}), goal ${row.goal}`)
  record(
    { bench: 'loader', threads, ...row, ratio: `${ratio.toFixed(3)}, by run ${spread(ratios, 3)}` },
    dry,
  )
}
