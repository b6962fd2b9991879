// Claim: on a GPU batch_norm_act, forward and backward with its ReLU and addition, and gather_augment are
// faster than what a PyTorch user writes. Device time of CUDA graphs; a row is void where a result lies
// further from float64 than twice PyTorch's (batch norm) or differs by more than a bfloat16 (gather).
//
//   npm run bench -- gpu-operators [--python PATH] [--dry]

import { mb, startSide } from './mc-loss-side.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, median, ratioOf, rounded, spread } from './statistics.mjs'

const { replays, python, dry } = readOptions({ replays: 20, python: 'python3', dry: false })

// Of ResNet-50 at 224 px and batch 32; the first one also at 448 px.
const norms = [
  { shape: [32, 64, 112, 112], dtype: 'bfloat16', residual: false },
  { shape: [32, 64, 224, 224], dtype: 'bfloat16', residual: false },
  { shape: [32, 256, 56, 56], dtype: 'bfloat16', residual: true },
  { shape: [32, 128, 28, 28], dtype: 'bfloat16', residual: false },
  { shape: [32, 1024, 14, 14], dtype: 'bfloat16', residual: true },
  { shape: [32, 2048, 7, 7], dtype: 'bfloat16', residual: true },
  { shape: [32, 256, 56, 56], dtype: 'float32', residual: true },
]
const batches = [
  { images: 1024, side: 256, size: 224, batch: 32 },
  { images: 512, side: 512, size: 448, batch: 32 },
]

const { side, torch, gpu } = await startSide({ script: 'gpu_operators.py', python, threads: 1 })
const { bytesPerSecond } = await side.ask('bandwidth')
console.log(`${gpu}: a large copy at ${(bytesPerSecond / 1e12).toFixed(2)} TB/s`)
const common = { sample: `${replays} replays`, threads: null, gpu }

for (const norm of norms) {
  const setting = `[${norm.shape}] ${norm.dtype} channels_last${norm.residual ? ' residual' : ''}`
  const { times, errors, bytes } = await side.ask('batch_norm', { ...norm, replays })
  const floor = (1000 * bytes) / bytesPerSecond
  const ours = figure('mcloss', 'ms', times.ours)
  console.log(
    `\n${setting}: ours ${spread(times.ours, 4)} ms, PyTorch ${spread(times.theirs, 4)} ms, floor ` +
      `${floor.toFixed(4)} ms of ${mb(bytes)}`,
  )
  const check = {
    ok: errors.ours <= Math.max(2 * errors.theirs, 1e-6),
    text:
      `largest relative distance from float64: ours ${errors.ours.toExponential(1)}, PyTorch ` +
      `${errors.theirs.toExponential(1)}`,
  }
  if (!check.ok) process.exitCode = 1
  const row = { ...common, setting, ours, check }
  const peer = figure(`PyTorch ${torch}`, 'ms', times.theirs)
  record({ claim: 'batch-norm-gpu', ...row, peer, ratio: ratioOf(times.theirs, times.ours) }, dry)
  const ratio = { value: rounded(median(times.ours) / floor) }
  const least = figure(mb(bytes), 'ms', floor)
  record({ claim: 'batch-norm-gpu-floor', ...row, peer: least, ratio }, dry)
}

for (const batch of batches) {
  const setting = `${batch.size} px b${batch.batch} bfloat16`
  const { times, apart } = await side.ask('gather', { ...batch, replays })
  // Values up to 2.7: a bfloat16 there is 2^-6.
  const check = { ok: apart <= 2 ** -6, text: `values within ${apart.toExponential(1)}` }
  if (!check.ok) process.exitCode = 1
  record(
    {
      ...{ claim: 'gather-gpu', ...common, setting, check },
      peer: figure(`PyTorch ${torch}`, 'ms', times.theirs),
      ours: figure('mcloss', 'ms', times.ours),
      ratio: ratioOf(times.theirs, times.ours),
    },
    dry,
  )
}
side.close()
