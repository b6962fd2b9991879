// Claim: a comparison costs the processor no more than its runs started one by one by hand. Both sides
// train the same two losses on the same two seeds, from the same stores of decoded images, and take
// turns; the processor time is that of every process that a side starts. The figures must be equal.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'

const options = readOptions({ rounds: 5, epochs: 5, dry: false })
const { rounds, epochs, dry } = options
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const folder = join(scratchDir(), 'compare')
const out = join(folder, 'compared')
const losses = [{ name: 'cross-entropy' }, { name: 'mc', alpha: 1.5, beta: 2 }]
const seeds = [0, 1]
const base = {
  threads: 1,
  data: {
    ...{ name: 'drawn-birds', root: join(folder, 'birds'), storeDir: join(folder, 'stores') },
    ...{ classes: 20, trainPerClass: 30, testPerClass: 20, size: 96, resize: 96 },
  },
  model: { backbone: 'vgg-small', channelsPerClass: 3 },
  loss: losses[0],
  optim: { lr: 0.05, epochs, batchSize: 32 },
  evalEvery: epochs,
}
mkdirSync(folder, { recursive: true })
const config = join(folder, 'config.json')
writeFileSync(config, JSON.stringify(base))
processorSeconds('data', 'prepare', config)

const byHand = losses.flatMap((loss) =>
  seeds.map((seed) => {
    const name = `${loss.name}-${seed}`
    const file = join(folder, `${name}.json`)
    writeFileSync(file, JSON.stringify({ ...base, loss, seed, name, out: join(folder, 'runs') }))
    return { name, file }
  }),
)
const startByHand = () => {
  rmSync(join(folder, 'runs'), { recursive: true, force: true })
  return byHand.reduce((sum, { file }) => sum + processorSeconds('train', file), 0)
}
const startCompare = () => {
  rmSync(out, { recursive: true, force: true })
  const axis = `loss=${losses.map((loss) => JSON.stringify(loss)).join(',')}`
  const study = ['--axis', axis, '--seeds', seeds.join(','), '--jobs', '1', '--out', out]
  return processorSeconds('compare', config, ...study)
}

const { a, b } = await interleave(rounds, startByHand, startCompare)
console.log(`by hand  ${spread(a)} s`)
console.log(`compare  ${spread(b)} s`)
const isEqual = JSON.stringify(top1ByHand()) === JSON.stringify(top1Compared())
record(
  {
    claim: 'compare-overhead',
    setting: `vgg-small 96 px, 20 kinds, ${losses.length * seeds.length} runs of ${epochs} epochs`,
    sample: `${rounds} rounds`,
    threads: 1,
    peer: figure('mcloss train, run by run', 's', a),
    ours: figure('mcloss compare --jobs 1', 's', b),
    ratio: ratioOf(b, a),
    check: {
      ok: isEqual,
      text: `top-1 of the ${byHand.length} runs is ${isEqual ? 'equal' : 'NOT equal'} on both sides`,
    },
  },
  dry,
)

/** User and system time of a command and of all that it has waited for. */
function processorSeconds(...args) {
  const command = '"$@" >&2 && times'
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', command, 'sh', process.execPath, cli, ...args],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`compare-overhead: mcloss ${args[0]} failed: ${stderr}`)
  const times = stdout.trimEnd().split('\n').at(-1) // of the shell's children; POSIX
  return [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + 60 * m + +s, 0)
}

function top1ByHand() {
  return byHand.map(({ name }) => {
    const lines = readFileSync(join(folder, 'runs', name, 'metrics.jsonl'), 'utf8').trimEnd()
    const epochs = lines.split('\n').map((line) => JSON.parse(line))
    return epochs.findLast(({ test }) => test).test.top1
  })
}

function top1Compared() {
  return JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')).entries.flatMap(
    ({ top1 }) => top1,
  )
}
