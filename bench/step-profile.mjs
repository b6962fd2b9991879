// Claim: our training step launches fewer kernels than PyTorch's. Ours are seen by Nsight Compute (ncu), the
// peer's by PyTorch's profiler. Also shows what the time of our kernels goes into.
//
//   npm run bench -- step-profile [--size 448] [--loss mc] [--python PATH] [--dry]

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { requirePython, startPeer } from './python.mjs'
import { record } from './record.mjs'
import { figure, rounded } from './statistics.mjs'
import { lossOf, mean, modelOf, nativeConfig, optim, seed, std } from './train-setup.mjs'

const options = readOptions({
  model: 'resnet50',
  loss: 'ce', // or mc
  size: 224,
  batch: 32,
  classes: 200,
  skip: 2000, // kernels before the profile
  kernels: 2400, // of the profile: two steps and more, with 480 to 800 kernels a step
  python: 'python3', // the peer's
  dry: false, // print only
})
const torch = requirePython(options.python, ['safetensors', 'numpy'])
native().checkDevice('cuda')
const dir = scratchDir()
const { model, loss, size, batch, classes } = options
const setting = { model, loss, size, batch, classes, threads: 4, device: 'cuda' }
const { shape } = makeBatches({ dir, ...setting })

const peer = startPeer(options.python, 'train_step_gpu.py')
const { gpu } = await peer.ask('setup', {
  ...{ model: modelOf(setting), loss: lossOf(loss), optim, shape, threads: 4, mean, std, seed },
})
await peer.ask('steps', { first: 0, count: 5 })
const theirs = await peer.ask('kernels', {})
peer.close()

const [ours, next] = steps(profile())
for (const [name, { calls, us }] of groups(ours)) {
  console.log(`${(us / 1000).toFixed(2).padStart(8)} ms ${String(calls).padStart(4)} ${name}`)
}
record(
  {
    claim: 'step-launches-gpu',
    setting: `${model} ${loss} ${size} px b${batch} bf16`,
    sample: '1 step',
    threads: null,
    peer: figure(`PyTorch ${torch} eager`, 'kernels', theirs.kernels),
    ours: figure('mcloss', 'kernels', ours.length),
    ratio: { value: rounded(ours.length / theirs.kernels) },
    also: [
      figure('mcloss, time of its kernels one by one', 'ms', sum(ours) / 1000),
      figure('PyTorch, time of its kernels', 'ms', theirs.ms),
    ],
    check: {
      ok: ours.length === next.length,
      text: `two steps of ours: ${ours.length} and ${next.length} kernels`,
    },
    gpu,
  },
  options.dry,
)

/** -> the kernels of our steps, in order: {name, us}. */
function profile() {
  const config = nativeConfig(setting)
  Object.assign(config.settings, { cudnnBenchmark: false, cudaGraph: 'off' })
  const csv = join(dir, 'kernels.csv')
  const own = fileURLToPath(new URL('memory-ours.mjs', import.meta.url))
  const request = { config, shape, steps: 9, seed, lr: optim.lr }
  const { status, stdout, stderr } = spawnSync(
    'ncu',
    [
      ...['--launch-skip', options.skip, '--launch-count', options.kernels].map(String),
      ...['--metrics', 'gpu__time_duration.sum', '--clock-control', 'none'],
      ...['--csv', '--log-file', csv, process.execPath, own, JSON.stringify(request)],
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`step-profile: ncu ended with ${status}: ${stdout}${stderr}`)
  const lines = readFileSync(csv, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('"'))
  const [head, ...rows] = lines.map((line) => line.slice(1, -1).split('","'))
  const [name, unit, value] = ['Kernel Name', 'Metric Unit', 'Metric Value'].map((key) =>
    head.indexOf(key),
  )
  return rows.map((row) => ({
    name: row[name],
    us: Number(row[value].replaceAll(',', '')) / (row[unit].startsWith('n') ? 1000 : 1),
  }))
}

/** Two steps that follow each other; each begins with its batch. */
function steps(kernels) {
  const begins = kernels.flatMap(({ name }, i) => (name.includes('gather_augment') ? [i] : []))
  if (begins.length < 3) {
    throw new Error(
      `step-profile: no two whole steps in ${kernels.length} kernels; change --skip or --kernels.`,
    )
  }
  return [kernels.slice(begins[0], begins[1]), kernels.slice(begins[1], begins[2])]
}

/** Of kernels of one kind: how many and how long, the longest first. */
function groups(kernels) {
  const kinds = new Map()
  for (const { name, us } of kernels) {
    const product = /sm90|cutlass|nvjet|cublas|cudnn|convolve|splitK|gemm|wgrad|dgrad|fprop/i
    const kind = product.test(name) ? 'convolutions and products' : name.slice(0, 100)
    const { calls, us: before } = kinds.get(kind) ?? { calls: 0, us: 0 }
    kinds.set(kind, { calls: calls + 1, us: before + us })
  }
  return [...kinds].sort(([, a], [, b]) => b.us - a.us).slice(0, 25)
}

function sum(kernels) {
  return kernels.reduce((total, { us }) => total + us, 0)
}
