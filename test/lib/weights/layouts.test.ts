// The layouts of published weights on a small network: a model gets the same weights from each as from
// safetensors. official.test.ts has the published files in full.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { toyTrainer } from '../../support/formula-batch.js'
import { loadFormulaWeights } from '../../support/formula-weights.js'
import { fourArguments, parametersZip } from '../../support/published-layouts.js'
import { weightsOf } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

test.each([
  ['Parameters in a zip file, without batch counters', parametersZip],
  ['tensors of four arguments in a legacy file', fourArguments],
] as const)('%s', async (_, write) => {
  const folder = temporaryFolder()
  const [one, other] = [
    await native().NativeTrainer.create(toyTrainer()),
    await native().NativeTrainer.create(toyTrainer()),
  ]
  await loadFormulaWeights(one, folder)
  const { tensors } = await weightsOf(one, folder)
  const floats = new Map([...tensors].filter(([, { dtype }]) => dtype === 'F32'))
  expect(tensors.size).toBeGreaterThan(floats.size)
  const path = join(folder, 'model.pth')
  writeFileSync(path, write(floats))
  await other.loadWeights(path, { backboneOnly: false })
  expect((await weightsOf(other, folder)).tensors).toEqual(tensors)
  await Promise.all([one.dispose(), other.dispose()])
  rmSync(folder, { recursive: true })
})
