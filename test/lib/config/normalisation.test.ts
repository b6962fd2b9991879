// Whose mean and std a run takes: the configuration's, the weights' own, else 0.5.

import { expect, test } from 'vitest'
import { normalisationOf, normalisationWarning } from '../../../lib/config/normalisation.js'
import { type WeightRecord, weightRecord } from '../../../lib/weights/records.js'

type Three = [number, number, number]
const record = weightRecord('resnet50.tv_in1k') as WeightRecord
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const half: Three = [0.5, 0.5, 0.5]
const own: Three = [0.1, 0.2, 0.3]
const before = { mean: own, std: own }

test.each([
  ['all say', { mean: half, std: own }, { record, before }, half, own, /^the configuration$/],
  ['a record', {}, { record }, imagenet.mean, imagenet.std, /record of resnet50\.tv_in1k/],
  ['std alone', { std: own }, { record }, imagenet.mean, own, /^std: the conf.*resnet50/],
  ['nothing', {}, {}, half, half, /default/],
  ['a run that goes on', {}, { before, record }, own, own, /the run that goes on/],
  ['one of before these were kept', {}, { before: {} }, half, half, /the run that goes on/],
] as const)('%s', (_, config, others, mean, std, source) => {
  const found = normalisationOf(config, others)
  expect(found).toEqual({ mean, std, source: expect.stringMatching(source) })
})

test('a difference from the record is a warning', () => {
  const words = /data\.mean is 0\.5, 0\.5, 0\.5, not 0\.485, 0\.456, 0\.406/
  expect(normalisationWarning({ mean: half }, record)).toMatch(words)
  expect(normalisationWarning({ mean: [0.485, 0.456, 0.406] }, record)).toBeUndefined()
  expect(normalisationWarning({}, record)).toBeUndefined()
})
