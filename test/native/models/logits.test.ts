// Every backbone with its heads and widened forms gives the logits of the PyTorch twin
// (test/reference/python/models.py) for weights and images both sides compute.

import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { fixtureLines, soak } from '../../support/fixture-lines.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { loadFormulaWeights } from '../../support/formula-weights.js'
import { temporaryFolder } from '../../support/small-birds.js'

interface Case {
  backbone: string
  head: string
  channelsPerClass: number
  soak: boolean
  /** Both of bilinear alone. */
  reduction?: number
  pooling?: 'sum' | 'isqrt'
  /** Channels, height, width of the feature map. */
  map: [number, number, number]
  /** [2][10] */
  logits: number[][]
}

const side = 64
const cases = fixtureLines<Case>('models/logits.jsonl')

function modelOf({ backbone, head, channelsPerClass, logits, reduction, pooling }: Case) {
  const numClasses = logits[0]?.length ?? 0
  const input = { height: side, width: side }
  const bilinear = { ...(reduction && { reduction }), ...(pooling && { pooling }) }
  return { backbone, head, numClasses, channelsPerClass, input, ...bilinear }
}

test('the fixture covers four backbones of torchvision, and ours', () => {
  const backbones = new Set(cases.filter((entry) => !entry.soak).map((entry) => entry.backbone))
  expect([...backbones].sort()).toEqual([
    'resnet18',
    'resnet50',
    'toy',
    'vgg-small',
    'vgg16',
    'vgg16_bn',
  ])
})

for (const entry of cases) {
  const { backbone, head, channelsPerClass: xi } = entry
  const why = entry.soak && !soak ? ' (540 MB of weights: only with MCLOSS_SOAK=1)' : ''
  const name = entry.pooling ? `${head} ${entry.pooling}` : head
  test.skipIf(why !== '')(`${backbone}, head ${name}, xi ${xi}: logits${why}`, async () => {
    const expected = entry.logits.flat()
    const model = modelOf(entry)
    const [channels, height, width] = entry.map
    expect(native().mapShape(model)).toEqual({ channels, height, width })

    const folder = temporaryFolder()
    const trainer = await native().NativeTrainer.create(toyTrainer({ model, threads: 2 }))
    await loadFormulaWeights(trainer, folder)
    rmSync(folder, { recursive: true })
    const logits = await trainer.predict(wholeBatch(2, side, model.numClasses))
    await trainer.dispose()

    expect(logits.length).toBe(expected.length)
    const largest = Math.max(...expected.map(Math.abs))
    const errors = expected.map((value, at) => Math.abs((logits[at] as number) - value) / largest)
    expect(Math.max(...errors)).toBeLessThan(1e-4)
  })
}
