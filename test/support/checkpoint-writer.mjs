// A process that test/lib/train/checkpoint.test.ts kills while it saves checkpoints. Arguments: the compiled
// checkpoint.js, the run folder, the steps to save from..to, the file operation before which the
// process kills itself (0: none), and whether the disk takes links. Prints each step that has been saved.

import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { fakeTrainer, stateOf } from './checkpoint-fakes.mjs'

const [module = '', runDir = '', from, to, killAt, disk] = process.argv.slice(2)
const { saveCheckpoint } = await import(module)

if (disk === 'no links') fs.symlink = () => Promise.reject(new Error('no links here'))
let operations = 0
for (const name of ['mkdir', 'open', 'readdir', 'readFile', 'rename', 'rm', 'stat', 'symlink']) {
  const real = fs[name]
  fs[name] = (...args) => {
    if (++operations === Number(killAt)) process.kill(process.pid, 'SIGKILL')
    return real(...args)
  }
}
syncBuiltinESMExports()

for (let step = Number(from); step <= Number(to); step++) {
  const links = step % 3 === 1 ? ['last'] : ['last', 'best']
  await saveCheckpoint({ runDir, trainer: fakeTrainer(step), state: stateOf(step), links })
  process.stdout.write(`${step}\n`)
}
