// The losses in a trainer: what a step reports against the formulas on predicted logits and features,
// the centres' own update, and that centres are skipped, saved and resumed as weights are.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type NativeLoss, type NativeTrainer, native } from '../../../lib/binding.js'
import { soak } from '../../support/fixture-lines.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { readHeader, stateOf, writeWeights } from '../../support/formula-weights.js'
import { numbersOf, plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const classes = 5
const batch = wholeBatch(8, 32, classes)
const center = { name: 'center', weight: 0.05, centerRate: 0.5 } as const
const lmcl = { name: 'lmcl', scale: 16, margin: 0.2 } as const
const cosine = { kind: 'cosine', scale: 16 } as const
const norm = { kind: 'cosine', scale: 'norm' } as const
const { model } = toyTrainer()
// No batch norm and no dropout: a training step sees what predict and features see.
const plain = { ...model, backbone: 'vgg16', head: 'linear' }

// With the scalar 0.5: lambda of a-softmax, alpha of lgm.
const every: [string, NativeLoss, object?][] = [
  ['cross entropy', { name: 'cross-entropy' }],
  ['focal', { name: 'focal', gamma: 2 }],
  ['center', center],
  ['a-softmax', { name: 'a-softmax', margin: 4 }, norm],
  ['coco', { name: 'coco', scale: 16 }, cosine],
  ['lmcl', lmcl, cosine],
  ['lgm', { name: 'lgm', lambda: 0.1 }, { kind: 'distance' }],
  ['cosine-loss', { name: 'cosine-loss' }],
  ['arcface', { name: 'arcface', scale: 16, margin: 0.3 }, cosine],
  ['max-entropy', { name: 'max-entropy', gamma: 0.2 }],
]

async function save(trainer: NativeTrainer, name: string): Promise<string> {
  const path = join(folder, name)
  mkdirSync(path)
  await trainer.save(path, {})
  return path
}

function centresIn(path: string): number[] {
  const tensor = plainRead(join(path, 'optimizer.safetensors')).tensors.get('loss.centres')
  if (!tensor) throw new Error('no loss.centres')
  return numbersOf(tensor)
}

/** -log p of the softmax, a class. */
function surprises(logits: number[]): number[] {
  const largest = Math.max(...logits)
  const sum = logits.reduce((total, z) => total + Math.exp(z - largest), 0)
  return logits.map((z) => Math.log(sum) + largest - z)
}

const sumOf = (values: number[]) => values.reduce((total, value) => total + value, 0)

function expectClose(received: number[], expected: number[], tolerance: number) {
  expect(received.length).toBe(expected.length)
  const largest = Math.max(...expected.map(Math.abs))
  const errors = expected.map((value, at) => Math.abs(value - (received[at] as number)))
  expect(Math.max(...errors) / largest).toBeLessThan(tolerance)
}

/** The sum over the batch of what `of` makes of a sample's logits and label. */
async function sumOverLogits(
  trainer: NativeTrainer,
  of: (logits: number[], label: number) => number,
): Promise<number> {
  const logits = Array.from(await trainer.predict(batch))
  return sumOf(
    Array.from(batch.labels, (label, n) => of(logits.slice(n * classes, (n + 1) * classes), label)),
  )
}

describe('values', () => {
  const smoothed = (logits: number[], label: number) => {
    const all = surprises(logits)
    return 0.9 * (all[label] as number) + (0.1 * sumOf(all)) / classes
  }

  test.each<[string, NativeLoss]>([
    ['cross-entropy', { name: 'cross-entropy', labelSmoothing: 0.1 }],
    ['center', { ...center, labelSmoothing: 0.1 }],
    ['mc', { ...mcLossConfig, labelSmoothing: 0.1 }],
  ])('label smoothing of %s is on its cross entropy', async (_, loss) => {
    const trainer = await native().NativeTrainer.create(toyTrainer({ model: plain, loss }))
    const expected = await sumOverLogits(trainer, smoothed)
    await trainer.step(batch, { step: 0, seed: 1, lr: 0 })
    const { parts } = await trainer.stats()
    expectClose([parts.ce as number], [expected], 1e-4)
    await trainer.dispose()
  })

  test('lmcl takes scale times margin off the label; evaluation does not', async () => {
    const config = toyTrainer({ model: { ...plain, classifier: cosine }, loss: lmcl })
    const trainer = await native().NativeTrainer.create(config)
    const expected = await sumOverLogits(trainer, (logits, label) => {
      expect(Math.max(...logits.map(Math.abs))).toBeLessThanOrEqual(lmcl.scale * 1.0001)
      const margins = logits.map((z, k) => (k === label ? z - lmcl.scale * lmcl.margin : z))
      return surprises(margins)[label] as number
    })
    const evaluated = await sumOverLogits(
      trainer,
      (logits, label) => surprises(logits)[label] as number,
    )
    await trainer.step(batch, { step: 0, seed: 1, lr: 0 })
    const { loss, parts } = await trainer.stats()
    expectClose([loss, parts.lmcl as number], [expected, expected], 1e-4)
    expectClose([(await trainer.evaluate(batch)).lossSum], [evaluated], 1e-4)
    await trainer.dispose()
  })

  test.each(every)(
    '%s: micro-batches give the loss and gradient of their batch',
    async (_, loss, classifier) => {
      const of = { ...plain, ...(classifier && { classifier }) } as typeof plain
      const step = async (microBatch?: number) => {
        const trainer = await native().NativeTrainer.create(toyTrainer({ model: of, loss }))
        const options = { step: 0, seed: 1, lr: 0, scalar: 0.5 }
        await trainer.step(batch, { ...options, ...(microBatch && { microBatch }) })
        const { loss: sum, parts, gradNorm } = await trainer.stats()
        await trainer.dispose()
        return [sum, gradNorm, ...Object.values(parts)]
      }
      expectClose(await step(3), await step(), 1e-4)
    },
  )

  test('center: loss and centres of two steps by the formula, micro-batches as the batch', async () => {
    const config = toyTrainer({ model: plain, loss: center })
    const trainer = await native().NativeTrainer.create(config)
    const { channels } = native().mapShape(config.model)
    const every = Array.from({ length: channels }, (_, channel) => channel)
    const { data, shape } = await trainer.features(batch, { channels: every })
    const positions = shape[2] * shape[3]
    const embedding = Array.from({ length: 8 * channels }, (_, at) => {
      const map = data.subarray(at * positions, (at + 1) * positions)
      return map.reduce((sum, value) => sum + value, 0) / positions
    })
    const centres = new Array(classes * channels).fill(0)
    for (let step = 0; step < 2; step++) {
      let distance = 0
      const moves = new Array(classes * channels).fill(0)
      const counts = new Array(classes).fill(0)
      for (const [n, label] of batch.labels.entries()) {
        counts[label] += 1
        for (let d = 0; d < channels; d++) {
          const away = centres[label * channels + d] - (embedding[n * channels + d] as number)
          distance += away ** 2 / 2
          moves[label * channels + d] += away
        }
      }
      for (const at of centres.keys()) {
        centres[at] -= (center.centerRate * moves[at]) / (1 + counts[Math.floor(at / channels)])
      }
      const microBatch = step === 0 ? {} : { microBatch: 3 }
      await trainer.step(batch, { step, seed: 1, lr: 0, ...microBatch })
      const { loss, parts } = await trainer.stats()
      expectClose([parts.center as number], [distance], 1e-4)
      expectClose([loss], [(parts.ce as number) + center.weight * distance], 1e-4)
    }
    expectClose(centresIn(await save(trainer, 'formula')), centres, 1e-4)
    await trainer.dispose()
  })
})

describe('ablations of mc', () => {
  /** Sums over the batch of the first step, and the gradient's norm. */
  const stepOf = async (options: object) => {
    const loss = { ...mcLossConfig, ...options }
    const trainer = await native().NativeTrainer.create(toyTrainer({ loss }))
    await trainer.step(batch, { step: 0, seed: 1, lr: 0 })
    const { loss: sum, parts, gradNorm } = await trainer.stats()
    await trainer.dispose()
    return { sum, gradNorm, ...(parts as Record<'ce' | 'dis' | 'div', number>) }
  }
  const { alpha } = mcLossConfig

  test('dis-only is beta 0: cross entropy and L_dis', async () => {
    const { sum, ce, dis } = await stepOf({ beta: 0 })
    expectClose([sum], [ce + alpha * dis], 1e-6)
  })

  test('div-only is alpha 0: what L_dis is does not matter', async () => {
    const { sum, ce, div, gradNorm } = await stepOf({ alpha: 0, keep: 'ceil-half' })
    const { channels } = native().mapShape(model)
    const xi = channels / classes
    expect(xi).not.toBe(Math.floor(xi)) // h / xi is then of every class its own
    const all = await stepOf({})
    expectClose([sum - ce], [all.sum - all.ce - alpha * all.dis], 1e-4)
    expect(div).toBe(all.div)
    // Another mask changes L_dis alone, so nothing here.
    expect(await stepOf({ alpha: 0, keep: 1 })).toMatchObject({ sum, ce, div, gradNorm })
  })

  test('no-cwa is keep 1: the mask of every step is all ones', async () => {
    const whole = native().cwaMask({
      ...{ channels: 32, classes, keep: 1, maskScope: 'sample', seed: 1, step: 0, samples: 8 },
    })
    expect([...new Set(whole)]).toEqual([1])
    const [one, other] = [await stepOf({ keep: 1 }), await stepOf({})]
    expect(one.div).toBe(other.div)
    expect(one.dis).not.toBe(other.dis)
  })

  test('pool mean: h is 1, so that L_div is constant; L_dis is of the means', async () => {
    const means = { impl: 'reference', pool: 'mean', keep: 1 }
    const { div, dis } = await stepOf(means)
    expectClose([div], [batch.count], 1e-6)
    const [with_, without] = [await stepOf(means), await stepOf({ ...means, beta: 0 })]
    expectClose([with_.gradNorm], [without.gradNorm], 1e-4)

    const trainer = await native().NativeTrainer.create(toyTrainer({ model: plain }))
    const { channels } = native().mapShape(plain)
    const every = Array.from({ length: channels }, (_, channel) => channel)
    const { data, shape } = await trainer.features(batch, { channels: every })
    await trainer.dispose()
    const positions = shape[2] * shape[3]
    const sizes = native().channelGroups(channels, classes)
    const expected = Array.from(batch.labels, (label, n) => {
      let begin = n * channels * positions
      const scores = sizes.map((size) => {
        const own = data.subarray(begin, begin + size * positions)
        begin += own.length
        return own.reduce((sum, value) => sum + value, 0) / own.length
      })
      return surprises(scores)[label] as number
    })
    const one = await native().NativeTrainer.create(
      toyTrainer({ model: plain, loss: { ...mcLossConfig, ...means } }),
    )
    await one.step(batch, { step: 0, seed: 1, lr: 0 })
    expectClose([(await one.stats()).parts.dis as number], [sumOf(expected)], 1e-5)
    await one.dispose()
    expect(dis).toBeGreaterThan(0)
  })

  test('pool mean of the fused operator is refused', async () => {
    await expect(stepOf({ pool: 'mean' })).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining("loss.impl to 'reference'"),
    })
  })
})

describe('the state of center', () => {
  const create = (initSeed: number) =>
    native().NativeTrainer.create(toyTrainer({ loss: center, initSeed }))

  test('a resumed run goes on bit for bit', async () => {
    const [first, second] = [await create(1), await create(2)]
    for (let step = 0; step < 3; step++) await first.step(batch, { step, seed: 5, lr: 0.05 })
    await second.load(await save(first, 'saved'))
    for (let step = 3; step < 6; step++) {
      await Promise.all(
        [first, second].map((each) => each.step(batch, { step, seed: 5, lr: 0.05 })),
      )
    }
    const [one, two] = [await save(first, 'one'), await save(second, 'two')]
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      expect(readFileSync(join(two, file)), file).toEqual(readFileSync(join(one, file)))
    }
    expect(centresIn(one)).not.toEqual(centresIn(join(folder, 'saved')))
    await Promise.all([first.dispose(), second.dispose()])
  })

  test('a skipped and a failing step leave the centres as they are', async () => {
    const trainer = await create(1)
    await trainer.step(batch, { step: 0, seed: 1, lr: 0.02 })
    const before = centresIn(await save(trainer, 'before'))
    expect(before.some((value) => value !== 0)).toBe(true)
    const failing = trainer.step(batch, { step: 1, seed: 1, lr: 0.02, microBatch: 7 })
    await expect(failing).rejects.toMatchObject({ code: 'E_ARGUMENT' })

    const path = join(folder, 'poisoned.safetensors')
    writeWeights(path, await stateOf(trainer, folder), (name, values) => {
      if (name === 'features.0.weight') values[0] = Number.NaN
    })
    await trainer.loadWeights(path, { backboneOnly: false, anyValues: true })
    await trainer.step(batch, { step: 1, seed: 1, lr: 0.02 })
    expect((await trainer.stats()).skipped).toBe(1)
    expect(centresIn(await save(trainer, 'after'))).toEqual(before)
    await trainer.dispose()
  })

  test('only a loss that has state saves it, and a file without it is refused', async () => {
    const other = await native().NativeTrainer.create(toyTrainer())
    const trainer = await create(1)
    const path = await save(other, 'stateless')
    const names = [...readHeader(join(path, 'optimizer.safetensors')).keys()]
    expect(names.filter((name) => name.startsWith('loss.'))).toEqual([])
    await expect(trainer.load(path)).rejects.toMatchObject({ code: 'E_CHECKPOINT' })
    await Promise.all([other.dispose(), trainer.dispose()])
  })
})

describe('the last layer', () => {
  const large = ['torchvision', 'vgg16_bn', 'classifier.6'] // 540 MB of weights
  test.each([
    ['torchvision', 'resnet18', 'fc'],
    ...(soak ? [large] : []),
    ['linear', 'toy', 'head.fc'],
    ['two-layer', 'toy', 'head.fc2'],
    ['bilinear', 'toy', 'head.fc'],
  ])('head %s of %s: names of its parameters', async (head, backbone, name) => {
    for (const [classifier, expected] of [
      [undefined, ['bias', 'weight']],
      [{ kind: 'linear' }, ['bias', 'weight']],
      [cosine, ['weight']],
      [{ kind: 'distance' }, ['means']],
    ] as const) {
      const of = { ...model, head, backbone, ...(classifier && { classifier }) }
      const config = toyTrainer({ model: of, optim: { ...toyTrainer().optim, momentum: 0 } })
      const trainer = await native().NativeTrainer.create(config)
      const path = await save(trainer, `${head} ${backbone} ${classifier?.kind}`)
      const names = [...readHeader(join(path, 'model.safetensors')).keys()]
      const last = names.filter((each) => each.startsWith(`${name}.`))
      expect(last.map((each) => each.slice(name.length + 1)).sort()).toEqual(expected)
      await trainer.dispose()
      rmSync(path, { recursive: true })
    }
  })

  test.each([
    ...every,
    ['cross entropy on cosines', { name: 'cross-entropy' }, norm],
    ['cross entropy on distances', { name: 'cross-entropy' }, { kind: 'distance' }],
  ])('%s learns, in float32 and under autocast', async (_, loss, classifier) => {
    for (const precision of ['fp32', 'bf16'] as const) {
      const of = { ...model, ...(classifier && { classifier }) } as typeof model
      const trainer = await native().NativeTrainer.create(
        toyTrainer({ model: of, loss, precision }),
      )
      const lossOf = async (step: number) => {
        await trainer.step(batch, { step, seed: 1, lr: 0.02, scalar: 0.5 })
        const stats = await trainer.stats()
        expect(stats.skipped).toBe(0)
        return stats.loss
      }
      const first = await lossOf(0)
      for (let step = 1; step < 20; step++) await lossOf(step)
      expect(await lossOf(20), precision).toBeLessThan(first / 2)
      await trainer.dispose()
    }
  })
})
