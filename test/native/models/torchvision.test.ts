// With head `torchvision` and 1000 classes the saved models have torchvision's names, shapes and
// numbers of parameters (its documentation gives the numbers).

import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { fixtureLines } from '../../support/fixture-lines.js'
import { toyTrainer } from '../../support/formula-batch.js'
import { stateOf } from '../../support/formula-weights.js'
import { temporaryFolder } from '../../support/small-birds.js'

interface Published {
  backbone: string
  parameters: number
  state: Record<string, number[]>
}

const documented: Record<string, number> = {
  resnet18: 11_689_512,
  resnet50: 25_557_032,
  vgg16: 138_357_544,
  vgg16_bn: 138_365_992,
}

for (const { backbone, parameters, state } of fixtureLines<Published>('models/torchvision.jsonl')) {
  test(`${backbone}: names, shapes and count`, async () => {
    const folder = temporaryFolder()
    const input = { height: 64, width: 64 }
    const model = { backbone, head: 'torchvision', numClasses: 1000, channelsPerClass: 0, input }
    const trainer = await native().NativeTrainer.create(toyTrainer({ model }))
    const own = await stateOf(trainer, folder)
    await trainer.dispose()
    rmSync(folder, { recursive: true })

    const shapes = Object.fromEntries([...own].map(([name, { shape }]) => [name, shape]))
    expect(shapes).toEqual(state)
    const counted = Object.entries(shapes)
      .filter(([name]) => !/running_mean|running_var|num_batches_tracked/.test(name))
      .reduce((sum, [, shape]) => sum + shape.reduce((product, size) => product * size, 1), 0)
    expect(counted).toBe(parameters)
    expect(counted).toBe(documented[backbone])
  })
}
