// Our side of bench/start.mjs: the shortest script to a first finished step. Arguments: the image
// folder, threads.

import { datasets, defineConfig, loader, Trainer } from '../dist/index.js'

const [root, threads] = process.argv.slice(2)
const config = defineConfig({
  threads: Number(threads),
  data: { name: 'image-folder', root, resize: 128, crop: 112 },
  model: { backbone: 'resnet18', head: 'torchvision' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 0.01, momentum: 0.9, weightDecay: 5e-4, epochs: 1, batchSize: 8 },
})
const dataset = await datasets.openDataset(config.data)
const trainer = await Trainer.create(config, dataset.classes.length)
for await (const batch of loader(dataset, config, { split: 'train', epoch: 0 })) {
  await trainer.step(batch, { step: 0, seed: config.seed, lr: config.optim.lr })
  break
}
const { loss, n } = await trainer.stats()
console.log(JSON.stringify({ loss: loss / n }))
await trainer.dispose()
