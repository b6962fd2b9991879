// Claim (goals 1 and 2): the MC-Loss operator, forward and backward, is many times as fast as the faster
// of the two forms a PyTorch user writes (bench/peers/mc_loss.py) and takes a fraction of its memory. All
// forms run in one Python process that has loaded libmcloss_ops.so, by turns, on the same threads, inputs
// and mask; a row is void where loss or gradient do not agree with float64.
//
//   npm run bench -- mc-loss [--python PATH] [--only 2000] [--dry]
//   npm run bench -- mc-loss --device cuda      a GPU, also against torch.compile: mc-loss-cuda.mjs

import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { cudaRows, measureOnGpu } from './mc-loss-cuda.mjs'
import { mb, nameOf, opsLibrary, startSide, verdict, weights } from './mc-loss-side.mjs'
import { readOptions } from './options.mjs'
import { peerScript } from './python.mjs'
import { record } from './results.mjs'
import { median, spread } from './statistics.mjs'

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
  { shape: of2000, layout: 'contiguous', dtype: 'float32', goal: 6 },
  { shape: of600, layout: 'contiguous', dtype: 'float32', goal: 6 },
  { shape: of2048, layout: 'contiguous', dtype: 'float32', goal: 4 },
  { shape: of2000, layout: 'channels_last', dtype: 'float32', goal: 4 },
  { shape: of600, layout: 'channels_last', dtype: 'float32', goal: 4 },
  { shape: of2048, layout: 'channels_last', dtype: 'float32', goal: 4 },
  { shape: of2048, layout: 'contiguous', dtype: 'bfloat16' },
  { shape: of2048, layout: 'channels_last', dtype: 'bfloat16' },
]
const onGpu = options.device === 'cuda'
const script = onGpu ? 'mc_loss_cuda.py' : 'mc_loss_bench.py'
for (const { goal, ...row } of onGpu ? cudaRows : cpuRows) {
  const name = nameOf(row)
  if (!name.includes(options.only)) continue
  const request = { ...row, classes: 200, ...weights }
  // A process a row: what an earlier row left in the heap would decide who pays for fresh memory.
  const { side, torch, gpu } = await startSide({ script, python, threads })
  const { inputs, bytes } = await side.ask('case', request)
  console.log(`\n${name}, K 200: ${inputs} inputs of ${mb(bytes)} by turns`)
  const { setting, peer, check, ...cells } = onGpu
    ? await measureOnGpu(side, bytes)
    : await measureOnCpu(side, request, goal)
  if (!check.ok) process.exitCode = 1
  record(
    {
      bench: 'mc-loss',
      setting: `${name}, K 200, ${setting}`,
      threads: onGpu ? '-' : threads,
      peer: `${peer} (PyTorch ${torch})`,
      ...cells,
      check: check.text,
      gpu,
    },
    dry,
  )
  side.close()
}

/** The cells of a row that are its own. */
async function measureOnCpu(side, request, goal) {
  const checked = await side.ask('check', {
    forms: ['ours', 'reference', 'slices', 'pool', 'gathers'],
  })
  const ms = {
    ...(await side.ask('time', { forms: ['ours', 'reference', 'slices', 'pool'], runs, warmup })),
    ...(await side.ask('time', { forms: ['gathers'], runs: gatherRuns })),
  }
  const [peer, other] =
    median(ms.slices) < median(ms.pool) ? ['slices', 'pool'] : ['pool', 'slices']
  const memory = Object.fromEntries(
    ['ours', 'reference', peer].map((form) => [form, peakMemory(form, request)]),
  )
  for (const [form, times] of Object.entries(ms)) {
    const { loss, gradientError } = checked[form]
    console.log(
      `${form.padEnd(9)} ${spread(times)} ms, loss ${loss.toFixed(6)}, gradient within ` +
        `${gradientError.toExponential(1)}${form in memory ? `, memory ${mb(memory[form])}` : ''}`,
    )
  }
  const ratio = (median(ms[peer]) / median(ms.ours)).toFixed(2)
  const byRun = spread(
    ms[peer].map((theirs, run) => theirs / ms.ours[run]),
    1,
  )
  const share = (memory.ours / memory[peer]).toFixed(3)
  console.log(`peer ${peer}: ratio ${ratio} (by run ${byRun}), memory ${share}`)
  const middle = (form, digits) => `${form} ${median(ms[form]).toFixed(digits)} ms`
  return {
    setting: `${runs} runs`,
    peer:
      `${peer} ${spread(ms[peer])} ms, ${mb(memory[peer])}; ${middle(other, 2)}, ` +
      `${middle('gathers', 0)} (${gatherRuns} runs)`,
    ours: `${spread(ms.ours)} ms, ${mb(memory.ours)}; ${middle('reference', 2)}, ${mb(memory.reference)}`,
    ratio: `${ratio}, by run ${byRun}; memory ${share}`,
    goal: goal ? `>= ${goal}; memory <= 0.1` : '-',
    check: verdict(checked, ['ours', 'reference', peer]),
  }
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
