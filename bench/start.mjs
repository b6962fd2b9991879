// Claim: from the command to the first finished step, a script with this library needs
// less time than the Python script of peer A: ResNet-18, 112 px, batch 8, from a folder of JPEG
// files. Every start is a new process; the two take turns, and one start of each is thrown away
// first.

import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { scratchDir } from './batches.mjs'
import { readOptions } from './options.mjs'
import { peerScript, requirePython } from './python.mjs'
import { record } from './record.mjs'
import { figure, interleave, ratioOf, spread } from './statistics.mjs'

const options = readOptions({
  rounds: 9,
  threads: availableParallelism(),
  python: 'python3',
  dry: false,
})
const torch = requirePython(options.python, ['numpy', 'PIL'])
const root = join(scratchDir(), 'images')
await drawFolder(root)
const threads = String(options.threads)
const ours = fileURLToPath(new URL('start-ours.mjs', import.meta.url))
const startPeer = () => start(options.python, [peerScript('start.py'), root, threads])
const startOurs = () => start(process.execPath, [ours, root, threads])

await startPeer()
await startOurs()
const { a, b } = await interleave(options.rounds, startPeer, startOurs)
const seconds = (side) => side.map((result) => result.seconds)
console.log(`peer  ${spread(seconds(a))} s, first loss ${a[0].loss}`)
console.log(`ours  ${spread(seconds(b))} s, first loss ${b[0].loss}`)
record(
  {
    claim: 'start',
    setting: 'resnet18 112 px b8',
    sample: `${options.rounds} starts`,
    threads: options.threads,
    peer: figure(`PyTorch ${torch}, PIL`, 's', seconds(a)),
    ours: figure('mcloss', 's', seconds(b)),
    ratio: ratioOf(seconds(b), seconds(a)),
    check: {
      ok: true,
      text: `both finished a step: losses ${a[0].loss.toFixed(3)} and ${b[0].loss.toFixed(3)} (own initial weights)`,
    },
  },
  options.dry,
)

/** Runs a command until its first line, {"loss": ...}; -> the seconds from spawn to that line. */
function start(command, args) {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    let seconds
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (text.includes('\n')) seconds ??= (performance.now() - began) / 1000
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0 && seconds !== undefined) resolve({ seconds, ...JSON.parse(text) })
      else reject(new Error(`start: ${command} ${args[0]} ended with code ${code}.`))
    })
  })
}

/** 2 classes x 8 training and 2 test images of smooth noise, 400 x 300, JPEG. */
async function drawFolder(folder) {
  for (const [split, count] of Object.entries({ train: 8, test: 2 })) {
    for (const name of ['a', 'b']) {
      mkdirSync(join(folder, split, name), { recursive: true })
      for (let i = 0; i < count; i++) {
        await sharp({
          create: {
            width: 400,
            height: 300,
            channels: 3,
            background: '#888',
            noise: { type: 'gaussian', mean: 128, sigma: 40 },
          },
        })
          .blur(2)
          .jpeg()
          .toFile(join(folder, split, name, `${i}.jpg`))
      }
    }
  }
}
