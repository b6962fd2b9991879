// Our side of bench/pretrained-file.mjs: VGG-16 from a file of weights in a process of its own. Arguments:
// the file, threads; prints {create, load: seconds, peak, loaded: bytes}.

import { native } from '../dist/binding.js'
import { defineConfig, nativeConfig } from '../dist/config/index.js'
import { resident } from './resident.mjs'

const [path, threads] = process.argv.slice(2)
const config = defineConfig({
  threads: Number(threads),
  data: { name: 'image-folder', root: '.', resize: 224 },
  model: { backbone: 'vgg16', head: 'torchvision' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 0.01, epochs: 1, batchSize: 1 },
})
native()
const loaded = resident('VmRSS')
const began = performance.now()
const trainer = await native().NativeTrainer.create(nativeConfig(config, 1000))
const created = performance.now()
await trainer.loadWeights(path, { backboneOnly: false })
const done = performance.now()
const seconds = { create: (created - began) / 1000, load: (done - created) / 1000 }
console.log(JSON.stringify({ ...seconds, peak: resident('VmHWM'), loaded }))
await trainer.dispose()
