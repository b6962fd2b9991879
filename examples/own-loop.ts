// A loop of one's own on the native trainer: you decide the rate, when to evaluate, when to stop.
// Arguments: the folder for the images, the number of epochs.

import { datasets, defineConfig, loader, makeSchedule, Trainer } from 'mcloss'

const [root = 'data/drawn-birds', epochs = '30'] = process.argv.slice(2)

const config = defineConfig({
  data: { name: 'drawn-birds', root, resize: 96, padding: 4 },
  model: { backbone: 'vgg-small', head: 'two-layer', channelsPerClass: 3 },
  loss: { name: 'mc', alpha: 1.5, beta: 2 },
  optim: { lr: 0.1, epochs: Number(epochs), batchSize: 32 },
})
const dataset = await datasets.openDataset(config.data)
const trainer = await Trainer.create(config, dataset.classes.length)
const lrAt = makeSchedule(config, loader(dataset, config, { split: 'train', epoch: 0 }).length)

let step = 0
for (let epoch = 0; epoch < config.optim.epochs; epoch++) {
  for await (const batch of loader(dataset, config, { split: 'train', epoch })) {
    await trainer.step(batch, { step, seed: config.seed, lr: lrAt(step) })
    step++
  }
  const { loss, correct, n } = await trainer.stats()
  console.log(epoch, loss / n, correct / n)
}
await trainer.dispose()
