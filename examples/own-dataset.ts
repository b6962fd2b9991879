// A dataset of one's own: any list of image files with labels. Class i of `classes` has label i.
// Arguments: a folder with one file list, "path label" a line, and the number of epochs.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Dataset, defineConfig, train } from 'mcloss'

const [root = 'data/own', epochs = '10'] = process.argv.slice(2)

async function readList(name: string) {
  const lines = (await readFile(join(root, name), 'utf8')).trim().split('\n')
  return lines.map((line) => {
    const [path = '', label] = line.split(' ')
    return { path: join(root, path), label: Number(label) }
  })
}

const dataset: Dataset = {
  classes: ['robin', 'jay', 'wren'],
  train: await readList('train.txt'),
  test: await readList('test.txt'),
}
const run = train(
  defineConfig({
    data: { dataset, resize: 64 },
    model: { backbone: 'toy', head: 'linear', channelsPerClass: 4 },
    loss: { name: 'mc', mu: 0.5, lambda: 1 },
    optim: { lr: 0.02, epochs: Number(epochs), batchSize: 8 },
  }),
)
const { last } = await run.result
console.log(`top-1 ${last.top1} of ${last.n}`)
