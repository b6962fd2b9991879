// What a run ends with, in words.

import { expect, test } from 'vitest'
import { formatDemo } from '../../../lib/cli/reports/demo.js'
import { resultText } from '../../../lib/cli/reports/result.js'

const figures = { loss: 0.5, top1: 0.75, top5: 0.875, meanPerClass: 0.5, classes: 4, n: 8 }
const best = { ...figures, epoch: 1, checkpoint: '/runs/x/best' }
const last = { ...best, top1: 0.625, epoch: 2, checkpoint: '/runs/x/checkpoints/y' }
const accuracies = 'top-5 87.50 %, mean per class 50.00 %'

test('a run without validation images says that best was picked on the test split', () => {
  const test = { ...best, bestPickedOn: 'test' } as const
  expect(resultText({ runDir: '/runs/x', best, last, test }, 'raw').split('\n')).toEqual([
    `best  epoch 2: top-1 75.00 %, ${accuracies} (picked on the test split)`,
    `last  epoch 3: top-1 62.50 %, ${accuracies} (on the test split)`,
    'run   /runs/x',
  ])
})

test('a run with them has the test split in a line of its own', () => {
  const test = { ...best, top1: 0.7, bestPickedOn: 'validation' } as const
  expect(resultText({ runDir: '/runs/x', best, last, test }, 'raw').split('\n')).toEqual([
    `best  epoch 2: top-1 75.00 %, ${accuracies} (picked on the validation images)`,
    `last  epoch 3: top-1 62.50 %, ${accuracies} (on the validation images)`,
    `test  epoch 2: top-1 70.00 %, ${accuracies} (the best epoch on the test split, read once)`,
    'run   /runs/x',
  ])
})

test('figures of the average of the weights say so in each line', () => {
  const test = { ...best, bestPickedOn: 'validation' } as const
  const lines = resultText({ runDir: '/runs/x', best, last, test }, 'ema').split('\n')
  expect(lines.map((line) => line.replace(/^.*(?=\()/, ''))).toEqual([
    '(picked on the validation images, average of the weights)',
    '(on the validation images, average of the weights)',
    '(the best epoch on the test split, read once, average of the weights)',
    'run   /runs/x',
  ])
})

test("the demo's table has the mean per class beside top-1", () => {
  const row = { trainLoss: 0.25, test: figures, seconds: 3, runDir: '/runs/x' }
  expect(formatDemo([{ loss: 'ce', ...row }]).split('\n')).toEqual([
    'loss           train loss  test loss  top-1 %  top-5 %  mean per class %  seconds',
    'cross entropy       0.250      0.500     75.0     87.5              50.0        3',
  ])
})
