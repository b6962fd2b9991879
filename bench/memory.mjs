// Claim (goal 14): a process that trains with this library needs no more memory than one of peer A. A
// fresh process of each loads its library, makes the model and takes 5 steps on the same batches; its
// peak is the largest resident set (VmHWM), on a GPU the largest that the allocator gave out. What
// the resident set grows by after the library was loaded stands beside it.
//
//   npm run bench -- memory [--model vgg16_bn] [--loss mc] [--device cuda] [--python PATH] [--dry]

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './results.mjs'
import { interleave, median, spread } from './statistics.mjs'
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
  await compare({ model, loss, channelsPerClass, size, batch, classes, threads })
}

async function compare(setting) {
  const { shape } = makeBatches({ dir, ...setting })
  const precision = device === 'cuda' ? 'bf16' : 'fp32'
  const ask = {
    ours: {
      ...{ config: { ...nativeConfig(setting), device, precision }, shape, steps },
      ...{ seed, lr: optim.lr },
    },
    peer: {
      ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape, threads, mean, std, seed },
      ...{ device, steps },
    },
  }
  const { a, b } = await interleave(
    rounds,
    () => run(options.python, peerScript('memory.py'), ask.peer),
    () => run(process.execPath, side, ask.ours),
  )
  const peaks = (results) => results.map(({ peak }) => peak / 1e6)
  const grown = (results) => results.map(({ peak, loaded }) => (peak - loaded) / 1e6)
  const ratio = median(peaks(b)) / median(peaks(a))
  const ofGrown = median(grown(b)) / median(grown(a))
  const row = (results) =>
    `${spread(peaks(results), 0)} MB, ${spread(grown(results), 0)} MB of it after loading`
  console.log(`${setting.model} ${loss}, ${size} px, batch ${batch}, ${device}`)
  console.log(`peer  ${row(a)}, loss ${a[0].loss.toFixed(4)}`)
  console.log(`ours  ${row(b)}, loss ${b[0].loss.toFixed(4)}`)
  console.log(`ratio ${ratio.toFixed(3)}, after loading ${ofGrown.toFixed(3)}`)
  record(
    {
      bench: 'memory',
      setting: `${setting.model} ${loss} ${size} px b${batch} ${device}, ${steps} steps, ${rounds} processes`,
      threads,
      peer: `${row(a)} (PyTorch ${torch})`,
      ours: row(b),
      ratio: `${ratio.toFixed(3)}; after loading ${ofGrown.toFixed(3)} (lower is better)`,
      goal: '<= 1.0 (aim 0.8)',
      check: `both took ${steps} steps: losses ${a[0].loss.toFixed(3)} and ${b[0].loss.toFixed(3)} (own initial weights)`,
      gpu: a[0].gpu,
    },
    options.dry,
  )
}

/** -> {loss, peak, loaded}; bytes. */
function run(command, script, request) {
  const { status, error, stdout } = spawnSync(command, [script, JSON.stringify(request)], {
    env: { ...process.env, THP_MEM_ALLOC_ENABLE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status === 0) return JSON.parse(stdout)
  throw new Error(`memory: ${command} ${script} ended with ${error?.message ?? `code ${status}`}.`)
}
