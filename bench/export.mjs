// Claims: an export to ONNX takes little memory beyond the weights, and is quick.
//
//   npm run bench -- export [--dry]

import { rmSync, statSync } from 'node:fs'
import { copyFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scratchDir } from './batches.mjs'
import { runAlone } from './fresh-process.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, rounded } from './statistics.mjs'
import { untrainedModel } from './untrained.mjs'

const { model, classes, rounds, dry } = readOptions({
  model: 'resnet50',
  classes: 1000,
  rounds: 5, // processes
  dry: false, // print only
})
const dir = scratchDir()
const config = {
  data: { name: 'image-folder', root: dir, resize: 224 },
  model: { backbone: model, head: 'torchvision' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 1, epochs: 1, batchSize: 1 },
}
const weights = await untrainedModel(config, classes, dir)
const { size } = statSync(weights)
const out = join(dir, 'model.onnx')
const script = fileURLToPath(new URL('export-ours.mjs', import.meta.url))

function exported() {
  const result = runAlone(process.execPath, script, { weights, out })
  rmSync(out)
  return result
}

async function copied() {
  const began = performance.now()
  await copyFile(weights, out)
  const file = await open(out)
  await file.sync()
  await file.close()
  rmSync(out)
  return (performance.now() - began) / 1000
}

const { a: copies, b: exports } = await interleave(rounds, copied, exported)
const [seconds, grown] = ['seconds', 'grown'].map((name) => exports.map((one) => one[name]))
const mib = (bytes) => rounded(bytes / 2 ** 20)
const shared = {
  setting: `${model}, ${Math.round(size / 2 ** 20)} MiB`,
  sample: `${rounds} processes`,
  threads: null,
  check: {
    ok: exports.every(({ bytes }) => bytes > 0.9 * size),
    text: `each file is ${exports[0].bytes} bytes long`,
  },
}
record(
  {
    claim: 'export-time',
    ...shared,
    peer: figure('a copy, flushed', 's', copies),
    ours: figure('mcloss', 's', seconds),
    ratio: null,
  },
  dry,
)
record(
  {
    claim: 'export-memory',
    ...shared,
    peer: figure('the file', 'MiB', mib(size)),
    ours: figure('mcloss', 'MiB', grown.map(mib)),
    ratio: ratioOf(
      grown,
      grown.map(() => size),
    ),
  },
  dry,
)
