// The step as a replayed CUDA graph: the same losses as without, and what changes from step to step
// (learning rate, masks, dropout, images) is honoured by every replay. Without a GPU the same tests
// run on the CPU, where no step is a replay.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type NativeTrainer, type NativeTrainerConfig, native } from '../../../lib/binding.js'
import { soak } from '../../support/fixture-lines.js'
import {
  mcLossConfig,
  ownWarnings,
  pixels,
  toyTrainer,
  wholeBatch,
} from '../../support/formula-batch.js'
import { numbersOf, plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const hasGpu = native().deviceCount() > 0
const { settings } = toyTrainer()
const one = wholeBatch(8, 32, 5)
const warmUps = 6 // more than native/train/step/graphed_step.h takes, so that a replay comes after

function create(
  device: 'cpu' | 'cuda',
  cudaGraph: 'auto' | 'off',
  overrides: Partial<NativeTrainerConfig> = {},
): Promise<NativeTrainer> {
  return native().NativeTrainer.create(
    toyTrainer({
      loss: mcLossConfig,
      device,
      settings: { ...settings, cudnnBenchmark: false, deterministic: true, cudaGraph },
      ...overrides,
    }),
  )
}

async function weights(trainer: NativeTrainer): Promise<Map<string, number[]>> {
  const path = join(folder, 'weights')
  mkdirSync(path, { recursive: true })
  await trainer.save(path, {})
  const { tensors } = plainRead(join(path, 'model.safetensors'))
  return new Map([...tensors].map(([name, tensor]) => [name, numbersOf(tensor)]))
}

const difference = (a: number[] = [], b: number[] = []) => a.map((x, i) => x - (b[i] ?? Number.NaN))
const largestOf = (values: number[] = []) => Math.max(...values.map(Math.abs))

for (const device of ['cpu', 'cuda'] as const) {
  const missing = device === 'cuda' && !hasGpu
  const suite = missing ? describe.skip : describe
  suite(`${device}${missing ? ' (skipped: LibTorch sees no GPU)' : ''}`, () => {
    test('graph on and off: the same losses over 30 steps, masks a sample, other batches', async () => {
      const loss = { ...mcLossConfig, maskScope: 'sample' } as const
      const [on, off] = [
        await create(device, 'auto', { loss }),
        await create(device, 'off', { loss }),
      ]
      const images = pixels(40, 32, 32)
      const side = images.length / 40
      for (let step = 0; step < 30; step++) {
        // Every tenth batch is a small one, as at the end of an epoch.
        const count = step % 10 === 9 ? 5 : 8
        const first = (step * 3) % 32
        const batch = {
          ...wholeBatch(count, 32, 5),
          pixels: images.subarray(first * side, (first + count) * side),
        }
        const options = { step, seed: 3, lr: 0.02 / (1 + step) }
        await Promise.all([on, off].map((trainer) => trainer.step(batch, options)))
        const [a, b] = [await on.stats(), await off.stats()]
        expect(a).toMatchObject({ steps: 1, n: count, skipped: 0 })
        expect(ownWarnings(a)).toEqual([])
        expect(Math.abs(a.loss - b.loss) / b.loss, `step ${step}`).toBeLessThan(1e-4)
        for (const part of ['ce', 'dis', 'div']) {
          expect(a.parts[part], `step ${step}: ${part}`).toBeCloseTo(b.parts[part] as number, 2)
        }
      }
      await Promise.all([on.dispose(), off.dispose()])
    })

    test('a profiled step is one with operators, wherever it falls', async () => {
      const trainer = await create(device, 'auto')
      for (let step = 0; step < 3; step++) await trainer.step(one, { step, seed: 3, lr: 0.01 })
      for (let step = 3; step < 7; step++) {
        const times = await trainer.profile(one, { step, seed: 3, lr: 0.01 })
        expect(times.map(({ name }) => name)).toContain('aten::convolution_backward')
        await trainer.step(one, { step, seed: 3, lr: 0.01 })
      }
      const stats = await trainer.stats()
      expect(stats).toMatchObject({ steps: 11, skipped: 0 })
      expect(ownWarnings(stats)).toEqual([])
      await trainer.dispose()
    })

    test('micro-batches, the last one smaller', async () => {
      const [on, off] = [await create(device, 'auto'), await create(device, 'off')]
      for (let step = 0; step < warmUps + 2; step++) {
        const options = { step, seed: 3, lr: 0.01, microBatch: 3 }
        await Promise.all([on, off].map((trainer) => trainer.step(one, options)))
      }
      const [a, b] = [await on.stats(), await off.stats()]
      expect(a).toMatchObject({ steps: warmUps + 2, n: 8 * (warmUps + 2) })
      expect(ownWarnings(a)).toEqual([])
      expect(a.loss).toBeCloseTo(b.loss, 2)
      await Promise.all([on.dispose(), off.dispose()])
    })

    test('the learning rate of each step is the one that counts', async () => {
      const optim = { momentum: 0, nesterov: false, weightDecay: 0, headLrScale: 2 }
      const trainer = await create(device, 'auto', { optim })
      const step = (lr: number) => trainer.step(one, { step: warmUps, seed: 1, lr })
      for (let number = 0; number < warmUps; number++) await step(0.01)
      // What a step adds to one weight of the backbone and one of the head, at each rate.
      const names = ['features.0.weight', 'head.fc2.weight']
      const start = join(folder, `start ${device}`)
      mkdirSync(start)
      await trainer.save(start, {})
      const before = await weights(trainer)
      const moved = async (lr: number) => {
        await trainer.load(start)
        await step(lr)
        const after = await weights(trainer)
        return names.map((name) => difference(after.get(name), before.get(name)))
      }
      const [none, small, large] = [await moved(0), await moved(0.01), await moved(0.04)]
      for (const index of names.keys()) {
        expect(largestOf(none[index]), names[index]).toBe(0)
        expect(largestOf(small[index]), names[index]).toBeGreaterThan(0)
        const ratio = largestOf(large[index]) / largestOf(small[index])
        expect(ratio, names[index]).toBeCloseTo(4, 2)
      }
      await trainer.dispose()
    })

    test('masks are drawn from the step number, also in a replay', async () => {
      const trainer = await create(device, 'auto')
      for (let step = 0; step < warmUps; step++) {
        await trainer.step(one, { step, seed: 1, lr: 0 })
      }
      await trainer.stats()
      const dis = async (step: number, seed: number) => {
        await trainer.step(one, { step, seed, lr: 0 })
        return (await trainer.stats()).parts.dis
      }
      const at = await dis(50, 1)
      expect(await dis(51, 1)).not.toBe(at)
      expect(await dis(50, 2)).not.toBe(at)
      expect(await dis(50, 1)).toBe(at)
      await trainer.dispose()
    })

    const large = device === 'cpu' && !soak
    const why = large ? ' (skipped: 2 GB of weights, on a CPU only with MCLOSS_SOAK=1)' : ''
    test.skipIf(large)(
      `dropout is drawn from the step number, also in a replay${why}`,
      async () => {
        const model = { ...toyTrainer().model, backbone: 'vgg16', head: 'torchvision' }
        const trainer = await create(device, 'auto', { model, loss: { name: 'cross-entropy' } })
        const two = wholeBatch(2, 32, 5)
        for (let step = 0; step < warmUps; step++) await trainer.step(two, { step, seed: 1, lr: 0 })
        await trainer.stats()
        const lossAt = async (step: number) => {
          await trainer.step(two, { step, seed: 1, lr: 0 })
          return (await trainer.stats()).loss
        }
        const at = await lossAt(50)
        expect(await lossAt(51)).not.toBe(at)
        expect(await lossAt(50)).toBe(at)
        await trainer.dispose()
      },
    )
  })
}
