// What computeLoss refuses, each with a code and words; and that the add-on's own entry refuses what
// could crash.

import { expect, test } from 'vitest'
import { type ComputeLossOptions, computeLoss } from '../../../lib/compute-loss.js'

const right: ComputeLossOptions = {
  loss: { name: 'center' },
  embedding: new Float32Array(6),
  shape: [2, 3],
  classifier: { weight: new Float32Array(12), bias: new Float32Array(4) },
  target: new Int32Array(2),
  numClasses: 4,
}
const weight = new Float32Array(12)

test('without gradients there are none', async () => {
  const result = await computeLoss(right)
  expect(Object.keys(result).sort()).toEqual(['evalLogits', 'logits', 'loss', 'parts', 'state'])
})

test('a bias that is left out is zeros, and has a gradient', async () => {
  const classifier = { weight: weight.map((_, at) => at) }
  const embedding = Float32Array.from([1, 2, 3, -1, 0.5, 2])
  const one = await computeLoss({ ...right, embedding, classifier, grad: true })
  const bias = new Float32Array(4)
  const other = await computeLoss({
    ...right,
    embedding,
    classifier: { ...classifier, bias },
    grad: true,
  })
  expect(one).toEqual(other)
  expect(one.gradBias).toHaveLength(4)
})

test.each<[string, object, string, RegExp]>([
  ['an unknown loss', { loss: { name: 'triplet' } }, 'E_CONFIG', /computeLoss: .*loss\.name/s],
  ['an unknown option', { loss: { name: 'focal', beta: 1 } }, 'E_CONFIG', /loss\.beta/],
  ['mc', { loss: { name: 'mc', alpha: 1, beta: 1 } }, 'E_ARGUMENT', /mcLoss/],
  ['no loss', { loss: undefined }, 'E_CONFIG', /loss/],
  ['a label too large', { target: Int32Array.from([0, 4]) }, 'E_ARGUMENT', /labels 0\.\.3 .* 4/],
  ['a negative label', { target: Int32Array.from([-100, 0]) }, 'E_ARGUMENT', /-100/],
  ['too few labels', { target: new Int32Array(1) }, 'E_ARGUMENT', /target .* 2 elements/],
  ['a short embedding', { embedding: new Float32Array(5) }, 'E_ARGUMENT', /embedding .* 6/],
  [
    'arrays of two types',
    { embedding: new Float64Array(6) },
    'E_ARGUMENT',
    /weight .*Float64Array/,
  ],
  ['a plain array', { embedding: [1, 2, 3, 4, 5, 6] }, 'E_ARGUMENT', /embedding.*Float32Array/],
  ['a shape of one', { shape: [6] }, 'E_ARGUMENT', /shape/],
  ['no samples', { shape: [0, 3], target: new Int32Array(0) }, 'E_ARGUMENT', /shape/],
  ['a bias of cosines', { loss: { name: 'coco' } }, 'E_ARGUMENT', /no classifier\.bias.*cosine/],
  [
    'a state of focal',
    { loss: { name: 'focal' }, state: { centres: weight } },
    'E_ARGUMENT',
    /state/,
  ],
  ['short centres', { state: { centres: new Float32Array(3) } }, 'E_ARGUMENT', /centres .* 12/],
  ['a step after the last', { step: 5, totalSteps: 5 }, 'E_ARGUMENT', /step 5 .* totalSteps 5/],
  ['half a step', { step: 0.5 }, 'E_ARGUMENT', /step/],
])('refused: %s', async (_, given, code, words) => {
  await expect(computeLoss({ ...right, ...given } as ComputeLossOptions)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(words),
  })
})
