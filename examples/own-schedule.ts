// A schedule of one's own: any pure function of the step. Pure, so that a resumed run has the same.
// Arguments: the folder for the images, the number of epochs.

import { defineConfig, train } from 'mcloss'

const [root = 'data/drawn-birds', epochs = '30'] = process.argv.slice(2)

const run = train(
  defineConfig({
    data: { name: 'drawn-birds', root, resize: 96, padding: 4 },
    model: { backbone: 'vgg-small', head: 'two-layer', channelsPerClass: 3 },
    loss: { name: 'cross-entropy' },
    optim: {
      lr: 0.02,
      schedule: (step) => 0.02 / Math.sqrt(1 + step / 100),
      epochs: Number(epochs),
      batchSize: 32,
    },
    logEvery: 1,
  }),
)
for await (const event of run) {
  if (event.type === 'progress') console.log(event.step, event.lr, event.loss)
}
await run.result
