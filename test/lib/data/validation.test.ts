// Which training images are set aside: against a twin that knows only docs/data.md and Philox's paper,
// and what the loader gives of them.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { window } from '../../../lib/data/augment.js'
import type { Dataset } from '../../../lib/data/batch.js'
import { type LoaderOptions, loader } from '../../../lib/data/loader.js'
import { positionsOf } from '../../../lib/data/validation.js'
import { drawTwin } from '../../reference/philox.js'

const VALIDATION = 8 // Philox's purpose

/** Of these labels, in this order. */
function setOf(labels: number[]): Dataset {
  const classes = Array.from(
    { length: Math.max(-1, ...labels) + 1 },
    (_, label) => `class ${label}`,
  )
  return { classes, train: labels.map((label, at) => ({ path: `${at}.jpg`, label })), test: [] }
}

const options = (seed: number, validation?: number) => ({ seed, data: { validation } })

/** The positions of one class that are set aside. */
function asideTwin(positions: number[], label: number, seed: number, fraction: number): number[] {
  const order = [...positions]
  for (let last = order.length - 1; last > 0; last--) {
    const word = drawTwin(seed, label, 0, order.length - 1 - last, VALIDATION)
    const other = Number((BigInt(word) * BigInt(last + 1)) >> 32n)
    ;[order[last], order[other]] = [order[other] as number, order[last] as number]
  }
  const share = Math.floor(positions.length * fraction + 0.5)
  return order.slice(0, Math.min(positions.length - 1, Math.max(1, share)))
}

function validationTwin(labels: number[], seed: number, fraction: number): number[] {
  return [...new Set(labels)]
    .flatMap((label) => {
      const positions = labels.flatMap((one, at) => (one === label ? [at] : []))
      return asideTwin(positions, label, seed, fraction)
    })
    .sort((a, b) => a - b)
}

/** Up to 40 images of up to 5 classes in any order, two at least of each class that is there. */
const someLabels = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 20 })
  .chain((labels) => fc.shuffledSubarray([...labels, ...labels], { minLength: 2 * labels.length }))

test('validation is as its twin draws it, of every class a share, and train is the rest', () => {
  const fraction = fc.double({ min: 0.01, max: 0.99, noNaN: true })
  const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  fc.assert(
    fc.property(someLabels, seed, fraction, (labels, seed, fraction) => {
      const dataset = setOf(labels)
      const [train, validation] = (['train', 'validation'] as const).map((split) => [
        ...positionsOf(dataset, options(seed, fraction), split),
      ]) as [number[], number[]]
      expect(validation).toEqual(validationTwin(labels, seed, fraction))
      expect([...train, ...validation].sort((a, b) => a - b)).toEqual([...labels.keys()])
      const classesOf = (positions: number[]) => new Set(positions.map((at) => labels[at]))
      expect(classesOf(train)).toEqual(new Set(labels))
      expect(classesOf(validation)).toEqual(new Set(labels))
    }),
    { numRuns: 100 },
  )
})

test('the same on every machine: stored positions; another seed draws others', () => {
  const labels = Array.from({ length: 40 }, (_, at) => at % 4)
  const drawn = (seed: number) => [...positionsOf(setOf(labels), options(seed, 0.2), 'validation')]
  expect(drawn(7)).toEqual(STORED)
  expect(drawn(8)).not.toEqual(STORED)
  expect(drawn(7 + 2 ** 32)).not.toEqual(STORED)
})
const STORED = [1, 2, 15, 16, 27, 28, 29, 38]

test('without a fraction every image is trained on', () => {
  const dataset = setOf([0, 1, 0])
  expect([...positionsOf(dataset, options(0), 'train')]).toEqual([0, 1, 2])
  expect(() => positionsOf(dataset, options(0), 'validation')).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG',
      message: expect.stringMatching(/data.validation/),
    }),
  )
  for (const fraction of [0, 1, Number.NaN, -0.1]) {
    expect(() => positionsOf(dataset, options(0, fraction), 'train'), `${fraction}`).toThrow(
      expect.objectContaining({ code: 'E_CONFIG' }),
    )
  }
})

test('a class with one image cannot give one: it is named', () => {
  const words = (labels: number[]) => {
    try {
      positionsOf(setOf(labels), options(0, 0.5), 'train')
    } catch (error) {
      return error
    }
    return undefined
  }
  expect(words([0, 0, 1, 2, 2])).toMatchObject({
    code: 'E_DATA',
    message: expect.stringMatching(/one of 'class 1'\. Add/),
  })
  expect(words([0, 1, 2, 3, 4])).toMatchObject({
    message: expect.stringMatching(/'class 3', and 1 more\./),
  })
})

test('the loader gives them in file order and as test images, and trains on none of them', async () => {
  const dataset = { ...setOf(Array.from({ length: 30 }, (_, at) => at % 3)), name: 'rows' }
  const data: LoaderOptions['data'] = {
    ...{ resize: [8, 8] as const, crop: [6, 6] as const, padding: 2, flip: true },
    ...{ prefetch: 1, decoders: 1 },
    jitter: { brightness: 0.5, contrast: 0.5, saturation: 0.5 },
    validation: 0.3,
  }
  const settings: LoaderOptions = { seed: 3, data, optim: { batchSize: 4, dropLast: true } }
  const source = { store: 1, badImages: { has: () => false, report: () => {} } } // rows are not read
  const seen = async (split: 'train' | 'validation', epoch: number) => {
    const samples: number[] = []
    for await (const batch of loader(dataset, settings, { split, epoch, source })) {
      samples.push(...batch.samples)
      for (const [row, sample] of batch.samples.entries()) {
        expect(batch.labels[row]).toBe(sample % 3)
        if (split === 'train') continue
        const { top, left } = window(3, epoch, sample, data, 'test')
        expect([...batch.windows.slice(3 * row, 3 * row + 3)]).toEqual([top, left, 0])
        expect(batch.jitter).toBeUndefined()
      }
    }
    return samples
  }
  const aside = [...positionsOf(dataset, settings, 'validation')]
  expect(aside).toHaveLength(9)
  for (const epoch of [0, 1]) {
    expect(await seen('validation', epoch)).toEqual(aside)
    const trained = await seen('train', epoch)
    expect(trained).toHaveLength(20) // 21, without a last batch that is not full
    expect(trained.filter((sample) => aside.includes(sample))).toEqual([])
  }
  expect(await seen('train', 0)).not.toEqual(await seen('train', 1))
})
