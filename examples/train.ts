// The smallest training script: drawn birds, a small VGG, MC-Loss.
// Arguments: the folder for the images, the number of epochs.

import { defineConfig, train } from 'mcloss'

const [root = 'data/drawn-birds', epochs = '30'] = process.argv.slice(2)

const run = train(
  defineConfig({
    data: { name: 'drawn-birds', root, resize: 96, padding: 4 },
    model: { backbone: 'vgg-small', head: 'two-layer', channelsPerClass: 3 },
    loss: { name: 'mc', alpha: 1.5, beta: 2 },
    optim: { lr: 0.1, epochs: Number(epochs), batchSize: 32 },
  }),
)
for await (const event of run) {
  if (event.type === 'epoch') console.log(event.epoch, event.train.loss, event.test?.top1)
}
const { best } = await run.result
console.log(`best epoch ${best.epoch}, top-1 ${best.top1}, ${best.checkpoint}`)
