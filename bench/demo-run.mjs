// One run of bench/demo-seeds in a process of its own. Argument: a JSON request {config, recipe,
// out}; writes {recipe, top1, testLoss, n, trainLoss per epoch, seconds, libtorch} to `out`.

import { renameSync, writeFileSync } from 'node:fs'
import { native } from '../dist/binding.js'
import { train } from '../dist/index.js'

const { config, recipe, out } = JSON.parse(process.argv[2])
const began = performance.now()
const run = train(config)
const trainLoss = []
for await (const event of run) if (event.type === 'epoch') trainLoss.push(event.train.loss)
const { last } = await run.result
const result = {
  recipe,
  top1: last.top1,
  testLoss: last.loss,
  n: last.n,
  trainLoss,
  seconds: (performance.now() - began) / 1000,
  libtorch: native().buildInfo().libtorch,
}
writeFileSync(`${out}.new`, JSON.stringify(result))
renameSync(`${out}.new`, out)
