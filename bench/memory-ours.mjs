// Our side of bench/memory.mjs and bench/bilinear.mjs: a few steps in a process of its own. Argument: JSON
// {config, shape, steps, seed, lr, weights?}; prints {loss, peak, loaded, ms}: bytes, and the time of all
// steps but the first.

import { native } from '../dist/binding.js'
import { batchesFrom } from './batches.mjs'
import { resident } from './resident.mjs'

const { config, shape, steps, seed, lr, weights } = JSON.parse(process.argv[2])
const onGpu = config.device === 'cuda'
native()
const loaded = onGpu ? 0 : resident('VmRSS')
const batches = batchesFrom(shape)
const trainer = await native().NativeTrainer.create(config)
if (weights) await trainer.loadWeights(weights, { backboneOnly: false })
await trainer.step(batches.at(0), { step: 0, seed, lr })
const began = performance.now()
for (let step = 1; step < steps; step++) await trainer.step(batches.at(step), { step, seed, lr })
const { loss, n } = await trainer.stats()
const ms = performance.now() - began
const peak = onGpu ? native().peakDeviceMemory() : resident('VmHWM')
console.log(JSON.stringify({ loss: loss / n, peak, loaded, ms }))
await trainer.dispose()
