// forEachOf against what it promises: the order, the bound, the first error, an abort.

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { forEachOf, gate } from '../../../lib/data/pool.js'

test('every item once, begun in order, never more than the limit at a time and as many as that', async () => {
  const durations = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(durations, fc.integer({ min: 1, max: 5 }), async (items, limit) => {
      const begun: number[] = []
      const ended: number[] = []
      let [running, most] = [0, 0]
      const isWhole = await forEachOf(items.entries(), limit, undefined, async ([index, ms]) => {
        begun.push(index)
        most = Math.max(most, ++running)
        await sleep(ms)
        running--
        ended.push(index)
      })
      expect(isWhole).toBe(true)
      expect(begun).toEqual([...items.keys()])
      expect(ended.sort((a, b) => a - b)).toEqual(begun)
      expect(most).toBe(Math.min(limit, items.length))
    }),
    { numRuns: 30 },
  )
})

test('after an error nothing is begun, what runs is waited for, and the first error comes out', async () => {
  const events: string[] = []
  const milliseconds = { slow: 40, bad: 0, worse: 40, never: 0 } as const
  const names = ['slow', 'bad', 'worse', 'never'] as const
  const run = forEachOf(names, 3, undefined, async (name) => {
    events.push(`${name} begun`)
    await sleep(milliseconds[name])
    events.push(`${name} ended`)
    if (name === 'bad' || name === 'worse') throw new Error(name)
  })
  await expect(run).rejects.toThrow(/^bad$/)
  expect(events.slice(0, 4)).toEqual(['slow begun', 'bad begun', 'worse begun', 'bad ended'])
  expect(events.slice(4).sort()).toEqual(['slow ended', 'worse ended'])
})

test('an error that is undefined is an error', async () => {
  const run = forEachOf([1], 1, undefined, () => Promise.reject(undefined))
  await expect(run).rejects.toBeUndefined()
})

test('after an abort nothing is begun, what runs is waited for, and the answer is false', async () => {
  const controller = new AbortController()
  const ended: number[] = []
  const isWhole = await forEachOf([0, 1, 2, 3, 4], 2, controller.signal, async (item) => {
    if (item === 1) controller.abort()
    await sleep(10)
    ended.push(item)
  })
  expect(isWhole).toBe(false)
  expect(ended).toEqual([0, 1])
  expect(await forEachOf([0], 1, controller.signal, async () => {})).toBe(false)
})

test('an abort that comes with the last item leaves nothing undone', async () => {
  const controller = new AbortController()
  const abort = async () => controller.abort()
  expect(await forEachOf([0], 1, controller.signal, abort)).toBe(true)
  expect(await forEachOf([], 1, controller.signal, abort)).toBe(true)
})

test('a gate lets those who wait in one by one, in the order they asked', async () => {
  const { enter, leave } = gate(2)
  const inside: number[] = []
  const asked = [0, 1, 2, 3].map((who) => enter().then(() => inside.push(who)))
  await sleep(0)
  expect(inside).toEqual([0, 1])
  leave()
  await asked[2]
  expect(inside).toEqual([0, 1, 2])
  leave()
  await asked[3]
  expect(inside).toEqual([0, 1, 2, 3])
})
