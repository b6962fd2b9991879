// Claim: the MC-Loss operator, forward and backward, is many times as fast as the faster
// of the two forms a PyTorch user writes (bench/peers/mc_loss.py) and takes a fraction of its memory. All
// forms run in one Python process that has loaded libmcloss_ops.so, by turns, on the same threads, inputs
// and mask; a row is void where loss or gradient do not agree with float64.
//
//   npm run bench -- mc-loss [--python PATH] [--only 2000] [--dry]
//   npm run bench -- mc-loss --device cuda      a GPU, also against torch.compile: mc-loss-cuda.mjs

import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { cudaRows, measureOnGpu } from './mc-loss-cuda.mjs'
import { mb, nameOf, opsLibrary, startSide, weights } from './mc-loss-side.mjs'
import { apart, fasterOf, verdict } from './mc-loss-verdict.mjs'
import { readOptions } from './options.mjs'
import { peerScript } from './python.mjs'
import { record } from './record.mjs'
import { figure, ratioOf, rounded, spread } from './statistics.mjs'

const options = readOptions({
  device: 'cpu', // or cuda
  only: '', // rows whose name has this text
  runs: 40, // timed, of each form
  gatherRuns: 5, // of the authors' form, which takes seconds
  warmup: 5,
  threads: availableParallelism(),
  python: 'python3',
  dry: false, // print only
})
const { threads, runs, gatherRuns, warmup, python, dry } = options

// K = 200: groups of 10, of 3, and 152 of 10 with 48 of 11.
const [of2000, of600, of2048] = [
  [16, 2000, 14, 14],
  [32, 600, 14, 14],
  [16, 2048, 14, 14],
]
const cpuRows = [
  { shape: of2000, layout: 'contiguous', dtype: 'float32' },
  { shape: of600, layout: 'contiguous', dtype: 'float32' },
  { shape: of2048, layout: 'contiguous', dtype: 'float32' },
  { shape: of2000, layout: 'channels_last', dtype: 'float32' },
  { shape: of600, layout: 'channels_last', dtype: 'float32' },
  { shape: of2048, layout: 'channels_last', dtype: 'float32' },
  { shape: of2048, layout: 'contiguous', dtype: 'bfloat16' },
  { shape: of2048, layout: 'channels_last', dtype: 'bfloat16' },
]
const onGpu = options.device === 'cuda'
const script = onGpu ? 'mc_loss_cuda.py' : 'mc_loss_bench.py'
for (const row of onGpu ? cudaRows : cpuRows) {
  const name = nameOf(row)
  if (!name.includes(options.only)) continue
  const request = { ...row, classes: 200, ...weights }
  // A process a row: what an earlier row left in the heap would decide who pays for fresh memory.
  const { side, torch, gpu } = await startSide({ script, python, threads })
  const { inputs, bytes } = await side.ask('case', request)
  console.log(`\n${name}, K 200: ${inputs} inputs of ${mb(bytes)} by turns`)
  const library = `PyTorch ${torch}`
  const { check, figures } = onGpu
    ? await measureOnGpu(side, library, bytes)
    : await measureOnCpu(side, library, request)
  if (!check.ok) process.exitCode = 1
  const setting = `${name}, K 200${onGpu ? ', cuda' : ''}`
  for (const one of figures) {
    record({ setting, threads: onGpu ? null : threads, ...one, check, gpu }, dry)
  }
  side.close()
}

/** -> the check, and of both rows what is their own. library: the name of the peer's. */
async function measureOnCpu(side, library, request) {
  const checked = await side.ask('check', {
    forms: ['ours', 'reference', 'slices', 'pool', 'gathers'],
  })
  const ms = {
    ...(await side.ask('time', { forms: ['ours', 'reference', 'slices', 'pool'], runs, warmup })),
    ...(await side.ask('time', { forms: ['gathers'], runs: gatherRuns })),
  }
  const peer = fasterOf(['slices', 'pool'], ms, checked)
  const other = peer === 'pool' ? 'slices' : 'pool'
  const memory = Object.fromEntries(
    ['ours', 'reference', peer].map((form) => [form, peakMemory(form, request)]),
  )
  for (const [form, times] of Object.entries(ms)) {
    const { loss, gradientError } = checked[form]
    console.log(
      `${form.padEnd(9)} ${spread(times)} ms, loss ${loss?.toFixed(6) ?? 'not finite'}, gradient within ` +
        `${apart(gradientError)}${form in memory ? `, memory ${mb(memory[form])}` : ''}`,
    )
  }
  const theirs = `${library}, ${peer}`
  const time = {
    claim: 'operator-time',
    sample: `${runs} runs`,
    peer: figure(theirs, 'ms', ms[peer]),
    ours: figure('mcloss', 'ms', ms.ours),
    ratio: ratioOf(ms[peer], ms.ours),
    also: [
      figure(`${library}, ${other}`, 'ms', ms[other]),
      figure(`${library}, gathers, ${gatherRuns} runs`, 'ms', ms.gathers),
      figure('reference', 'ms', ms.reference),
    ],
  }
  const space = {
    claim: 'operator-memory',
    sample: '1 process',
    peer: figure(theirs, 'MB', memory[peer] / 1e6),
    ours: figure('mcloss', 'MB', memory.ours / 1e6),
    ratio: { value: rounded(memory.ours / memory[peer]) },
    also: [figure('reference', 'MB', memory.reference / 1e6)],
  }
  return { check: verdict(checked, ['ours', 'reference', peer]), figures: [time, space] }
}

/** Bytes beyond the input and its gradient, of one form in a process of its own. */
function peakMemory(form, what) {
  const request = JSON.stringify({ library: opsLibrary, threads, form, case: what })
  const { status, stdout } = spawnSync(python, [peerScript('mc_loss_memory.py'), request], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MALLOC_MMAP_THRESHOLD_: '65536', THP_MEM_ALLOC_ENABLE: '0' },
  })
  if (status !== 0) throw new Error(`mc-loss: mc_loss_memory.py ended with code ${status}.`)
  return JSON.parse(stdout).bytes
}
