// Claim: a process that trains with this library needs no more memory than one of peer A. A
// fresh process of each loads its library, makes the model and takes 5 steps on the same batches; its
// peak is the largest resident set (VmHWM), on a GPU the largest that the allocator gave out. What
// the resident set grows by after the library was loaded stands beside it.
//
//   npm run bench -- memory [--model vgg16_bn] [--loss mc] [--device cuda] [--python PATH] [--dry]

import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { runAlone } from './fresh-process.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const options = readOptions({
  model: '', // left out: resnet50, then vgg16_bn
  loss: 'ce', // or mc
  channelsPerClass: 0,
  size: 224,
  batch: 16,
  classes: 200,
  device: 'cpu', // cuda: bf16 on both sides
  threads: 2,
  steps: 5,
  rounds: 3, // processes of each side
  python: 'python3',
  dry: false,
})
const { loss, channelsPerClass, size, batch, classes, device, threads, steps, rounds } = options
const torch = requirePython(options.python, ['safetensors', 'numpy'])
native().checkDevice(device)
const dir = scratchDir()
const side = fileURLToPath(new URL('memory-ours.mjs', import.meta.url))
for (const model of options.model ? [options.model] : ['resnet50', 'vgg16_bn']) {
  await compare({ model, loss, channelsPerClass, size, batch, classes, threads, device })
}

async function compare(setting) {
  const { shape } = makeBatches({ dir, ...setting })
  const ask = {
    ours: {
      ...{ config: nativeConfig(setting), shape, steps, seed, lr: optim.lr },
    },
    peer: {
      ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape, threads, mean, std, seed },
      ...{ device, steps },
    },
  }
  const { a, b } = await interleave(
    rounds,
    () => runAlone(options.python, peerScript('memory.py'), ask.peer),
    () => runAlone(process.execPath, side, ask.ours),
  )
  const peaks = (results) => results.map(({ peak }) => peak / 1e6)
  const grown = (results) => results.map(({ peak, loaded }) => (peak - loaded) / 1e6)
  const row = (results) =>
    `${spread(peaks(results), 0)} MB, ${spread(grown(results), 0)} MB of it after loading`
  console.log(`${setting.model} ${loss}, ${size} px, batch ${batch}, ${device}`)
  console.log(`peer  ${row(a)}, loss ${a[0].loss.toFixed(4)}`)
  console.log(`ours  ${row(b)}, loss ${b[0].loss.toFixed(4)}`)
  for (const [claim, of] of Object.entries({ memory: peaks, 'memory-after-loading': grown })) {
    record(
      {
        claim,
        setting: `${setting.model} ${loss} ${size} px b${batch} ${device}`,
        sample: `${steps} steps, ${rounds} processes`,
        threads,
        peer: figure(`PyTorch ${torch}`, 'MB', of(a)),
        ours: figure('mcloss', 'MB', of(b)),
        ratio: ratioOf(of(b), of(a)),
        check: {
          ok: true,
          text: `both took ${steps} steps: losses ${a[0].loss.toFixed(3)} and ${b[0].loss.toFixed(3)} (own initial weights)`,
        },
        gpu: a[0].gpu,
      },
      options.dry,
    )
  }
}
