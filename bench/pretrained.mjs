// Claims: a model fine-tuned from pretrained weights, in each format, beats one from scratch; a trainer from
// the largest published file is there about as soon as in PyTorch and takes little memory beyond its own;
// `mcloss weights inspect` is quick.
//
//   npm run bench -- pretrained [--part gain|load|inspect] [--python PATH] [--dry]

import { availableParallelism } from 'node:os'
import { scratchDir } from './batches.mjs'
import { stageOptions } from './birds-run.mjs'
import { readOptions } from './options.mjs'
import { inspectRows, loadRows, writeVgg } from './pretrained-file.mjs'
import { gainRows } from './pretrained-gain.mjs'
import { requirePython } from './python.mjs'
import { record } from './record.mjs'

const options = readOptions({
  part: 'all', // gain load inspect
  ...stageOptions,
  rounds: 5, // processes of each side
  threads: availableParallelism(),
  python: 'python3',
  dry: false,
})
const parts = ['gain', 'load', 'inspect']
if (![...parts, 'all'].includes(options.part)) {
  console.error(`pretrained: --part is all, ${parts.join(', ')}.`)
  process.exit(2)
}
const isWanted = (part) => [part, 'all'].includes(options.part)
const torch = requirePython(options.python, ['safetensors', 'numpy'])
const dir = scratchDir()
const keep = (rows) => {
  for (const row of rows) record(row, options.dry)
}
if (isWanted('gain')) keep(await gainRows(options, dir))
if (isWanted('load') || isWanted('inspect')) {
  const path = writeVgg(options.python, dir)
  if (isWanted('load')) keep(await loadRows(path, options, torch))
  if (isWanted('inspect')) keep(await inspectRows(path, options))
}
