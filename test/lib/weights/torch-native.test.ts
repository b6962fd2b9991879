// A file of torch.save into a model: every weight is what the file has, also where it is stored with its
// dimensions in another order.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dict, integer, pickle, tensor, text, torchZip } from '../../support/pickle-writer.js'
import { numbersOf, smallTrainer, weightsOf } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

test('a .pth file into a model, stored with its dimensions backwards', async () => {
  const folder = temporaryFolder()
  const trainer = await smallTrainer()
  const { tensors } = await weightsOf(trainer, folder)
  const expected = new Map<string, number[]>()
  const entries: { name: string; content: Buffer }[] = []
  const items: Buffer[] = []
  for (const [name, { dtype, shape }] of tensors) {
    if (dtype !== 'F32') continue // batch counts may be missing
    const length = shape.reduce((product, extent) => product * extent, 1)
    const stored = Float32Array.from({ length }, (_, i) => i + expected.size)
    // The first dimension innermost: element [a, b, ...] lies at a + b * shape[0] + ...
    const strides = shape.map((_, i) => shape.slice(0, i).reduce((all, extent) => all * extent, 1))
    const values = Array.from(stored, (_, index) => {
      let [rest, at] = [index, 0]
      for (let i = shape.length - 1; i >= 0; i--) {
        at += (rest % (shape[i] ?? 1)) * (strides[i] ?? 0)
        rest = Math.floor(rest / (shape[i] ?? 1))
      }
      return stored[at] ?? Number.NaN
    })
    const key = `key ${expected.size}`
    expected.set(name, values)
    entries.push({ name: `x/data/${key}`, content: Buffer.from(stored.buffer) })
    const place = { key, count: integer(length), shape: shape.map(integer) }
    items.push(text(`module.${name}`), tensor({ ...place, strides: strides.map(integer) }))
  }
  const path = join(folder, 'model.pth')
  writeFileSync(path, torchZip(pickle(dict(...items)), entries))
  await trainer.loadWeights(path, { backboneOnly: false })
  const loaded = (await weightsOf(trainer, folder)).tensors
  await trainer.dispose()
  rmSync(folder, { recursive: true })
  for (const [name, values] of expected) {
    const tensor = loaded.get(name)
    expect(tensor && numbersOf(tensor), name).toEqual(values)
  }
})
