// Claim: a training step launches fewer kernels and moves fewer bytes on a GPU than PyTorch's eager step.
// Estimated, not yet run on a GPU: the operators that each side dispatches on meta tensors
// (bench/peers/step_count.py) times the table of bench/step-kernels.mjs.
//
// Counted: a step from the batch on the GPU to the updated weights and sums, without a graph; ours also
// cuts, flips and normalises the batch there, while the peer's lies ready in float32. Not counted: the
// upload, what convolutions and matrix products move, copies that cuDNN makes for itself, caches.
// Ours is written down in bench/peers/native_step.py. A step that native takes on the CPU in bfloat16, where
// it dispatches as on a GPU except inside convolutions and lists, shows whether that is still so.
//
//   npm run bench -- step-count [--python PATH] [--batch 32] [--dry]

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'
import { rounded } from './statistics.mjs'
import { agreement } from './step-agreement.mjs'
import { costOf } from './step-kernels.mjs'
import { lossOf, modelOf, nativeConfig, optim, seed } from './train-setup.mjs'

const options = readOptions({ batch: 32, classes: 200, python: 'python3', dry: false })
const torch = requirePython(options.python, ['numpy'])
const library = fileURLToPath(new URL('../build/Release/libmcloss_ops.so', import.meta.url))
const { batch, classes } = options
const dir = scratchDir()

const losses = ['ce', 'mc']
const settings = losses.flatMap((loss) =>
  [224, 448].map((size) => ({ model: 'resnet50', loss, size, classes })),
)
const sides = sidesOf(settings)
const taken = {}
for (const loss of losses) taken[loss] = await operatorsOfNative(loss)
console.log('Estimated, not yet run on a GPU.')
for (const setting of settings) {
  const of = (side) => sides.filter((one) => one.setting === setting && one.side === side)
  const [ours] = of('ours')
  const [peer] = of('peer').sort((a, b) => a.bytes - b.bytes)
  const title = `${setting.model} ${setting.loss} ${setting.size} px b${batch}`
  print(title, peer, ours)
  keep(title, peer, ours, agreement(ours.rows, taken[setting.loss]))
}

/** The steps of both sides on meta tensors, each with its costs; the peer's MC-Loss in both its forms. */
function sidesOf(settings) {
  const asked = settings.flatMap((setting) => [
    { setting, side: 'ours', form: null },
    ...(setting.loss === 'mc' ? ['slices', 'pool'] : [null]).map((form) => ({
      ...{ setting, side: 'peer', form },
    })),
  ])
  const full = asked.map(({ setting, ...side }) => ({
    ...{ ...side, size: setting.size, batch, library, optim },
    ...{ model: modelOf(setting), loss: lossOf(setting.loss) },
  }))
  const answer = execFileSync(options.python, [peerScript('step_count.py'), JSON.stringify(full)], {
    maxBuffer: 1 << 26,
  })
  return JSON.parse(answer).map((calls, i) => ({ ...asked[i], ...summed(calls) }))
}

/** -> {kernels, bytes, rows: operator -> {calls, kernels, bytes}}. */
function summed(calls) {
  const rows = new Map()
  for (const call of calls) {
    const row = rows.get(call.op) ?? { calls: 0, kernels: 0, bytes: 0 }
    const { kernels, bytes } = costOf(call)
    rows.set(call.op, {
      calls: row.calls + call.calls,
      kernels: row.kernels + kernels,
      bytes: row.bytes + bytes,
    })
  }
  const sum = (field) => [...rows.values()].reduce((total, row) => total + row[field], 0)
  return { kernels: sum('kernels'), bytes: sum('bytes'), rows }
}

/** Calls by operator of one step of the trainer. Small: the counts do not depend on the shapes. */
async function operatorsOfNative(loss) {
  const setting = { model: 'resnet50', loss, size: 64, classes, threads: 1, batch: 2 }
  const batches = makeBatches({ dir, ...setting })
  const trainer = await native().NativeTrainer.create({
    ...nativeConfig(setting),
    precision: 'bf16',
  })
  // The first step makes what the others keep.
  await trainer.step(batches.at(0), { step: 0, seed, lr: optim.lr })
  const times = await trainer.profile(batches.at(0), { step: 1, seed, lr: optim.lr })
  await trainer.dispose()
  return new Map(times.map(({ name, calls }) => [name, calls]))
}

function print(title, peer, ours) {
  console.log(`\n${title}; peer PyTorch ${torch}${peer.form ? `, ${peer.form}` : ''}`)
  const cells = (row) =>
    row
      ? [row.calls, row.kernels, (row.bytes / 1e6).toFixed(1)].map((cell) =>
          String(cell).padStart(8),
        )
      : [8, 8, 8].map((width) => '-'.padStart(width))
  const line = (name, a, b) => console.log(name.padEnd(42), ...cells(a), ' |', ...cells(b))
  console.log(`${'operator'.padEnd(42)} peer: calls, kernels, MB    | ours: calls, kernels, MB`)
  const names = [...new Set([...peer.rows.keys(), ...ours.rows.keys()])]
  const bytes = (name) => (peer.rows.get(name)?.bytes ?? 0) + (ours.rows.get(name)?.bytes ?? 0)
  const kernels = (name) =>
    (peer.rows.get(name)?.kernels ?? 0) + (ours.rows.get(name)?.kernels ?? 0)
  for (const name of names.sort((a, b) => bytes(b) - bytes(a) || kernels(b) - kernels(a))) {
    if (kernels(name) > 0) line(name, peer.rows.get(name), ours.rows.get(name))
  }
  line('sum', { calls: '', ...peer }, { calls: '', ...ours })
}

function keep(setting, peer, ours, check) {
  const estimate = (side, value, unit) => ({ name: `${side}, estimated`, value, unit })
  const claimed = {
    'step-launches': { of: ({ kernels }) => kernels, unit: 'kernels' },
    'step-bytes': { of: ({ bytes }) => rounded(bytes / 1e6), unit: 'MB' },
  }
  for (const [claim, { of, unit }] of Object.entries(claimed)) {
    record(
      {
        claim,
        setting,
        sample: 'counted, not yet run on a GPU',
        threads: null,
        peer: estimate(`PyTorch ${torch}`, of(peer), unit),
        ours: estimate('mcloss', of(ours), unit),
        ratio: { value: rounded(of(ours) / of(peer)) },
        check,
      },
      options.dry,
    )
  }
}
