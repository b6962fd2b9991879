// Our side of bench/memory.mjs: a few steps in a process of its own. Argument: JSON {config, shape,
// steps, seed, lr}; prints {loss, peak, loaded}, bytes.

import { native } from '../dist/binding.js'
import { batchesFrom } from './batches.mjs'
import { resident } from './resident.mjs'

const { config, shape, steps, seed, lr } = JSON.parse(process.argv[2])
const onGpu = config.device === 'cuda'
native()
const loaded = onGpu ? 0 : resident('VmRSS')
const batches = batchesFrom(shape)
const trainer = await native().NativeTrainer.create(config)
for (let step = 0; step < steps; step++) await trainer.step(batches.at(step), { step, seed, lr })
const { loss, n } = await trainer.stats()
const peak = onGpu ? native().peakDeviceMemory() : resident('VmHWM')
console.log(JSON.stringify({ loss: loss / n, peak, loaded }))
await trainer.dispose()
