// Items of many calls become batches: by order of asking alone, and no call is harmed by another.

import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { batching, type Outcome } from '../../../lib/predict/batching.js'

/** Squares numbers; a negative one is an error of its call, zero of its whole batch. */
function squares(most: number, ahead: number) {
  const batches: number[][] = []
  const ended: (() => void)[] = []
  const work = {
    held: false,
    release() {
      for (const end of ended.splice(0)) end()
    },
  }
  const stages = {
    prepare: async (items: number[], isOver: (at: number) => boolean) =>
      items.map((item, at) => [item, isOver(at)] as const),
    async compute(ready: (readonly [number, boolean])[]): Promise<Outcome<number>[]> {
      batches.push(ready.map(([item]) => item))
      if (work.held) await new Promise<void>((end) => ended.push(end))
      await setImmediate()
      if (ready.some(([item]) => item === 0)) throw new Error('zero')
      return ready.map(([item]) =>
        item < 0 ? { error: new Error(`negative ${item}`) } : { value: item * item },
      )
    },
  }
  return { ...batching(most, ahead, stages), batches, work }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

test('a call alone is cut into batches in its order', async () => {
  const { submit, batches } = squares(4, 2)
  expect(await submit(range(1, 12))).toEqual(range(1, 12).map((n) => n * n))
  expect(batches).toEqual([range(1, 5), range(5, 9), range(9, 12)])
  expect(await submit([])).toEqual([])
})

test('calls of one turn share batches', async () => {
  const { submit, batches } = squares(4, 2)
  const answers = await Promise.all(range(1, 9).map((n) => submit([n])))
  expect(answers.flat()).toEqual(range(1, 9).map((n) => n * n))
  expect(batches).toEqual([range(1, 5), range(5, 9)])
})

test('what comes while a batch is computed waits for others to go with', async () => {
  const { submit, batches, work } = squares(8, 2)
  work.held = true
  const answers = [submit([1])]
  while (batches.length < 1) await setImmediate()
  answers.push(submit([2])) // the one batch that may wait
  while (answers.length < 7) {
    await setImmediate()
    answers.push(submit([answers.length + 1]))
  }
  work.held = false
  while (batches.length < 3) {
    work.release()
    await setImmediate()
  }
  expect((await Promise.all(answers)).flat()).toEqual(range(1, 8).map((n) => n * n))
  expect(batches).toEqual([[1], [2], range(3, 8)])
})

test('an error of an item ends its call; one of a batch, the calls in it', async () => {
  const { submit, batches, idle } = squares(4, 0)
  const calls = [[1, -2, 3], [6], [7, 0], [8], [9, 10, 11, 12, 13, 14, 15, 16]]
  const settled = await Promise.allSettled(calls.map((items) => submit(items)))
  expect(settled.map((one) => ('value' in one ? one.value : one.reason.message))).toEqual([
    'negative -2',
    [36],
    'zero',
    'zero',
    'zero',
  ])
  await idle()
  expect(batches).toEqual([
    [1, -2, 3, 6],
    [7, 0, 8, 9],
  ])
  expect(await submit([9])).toEqual([81])
})

test('an aborted call rejects at once, and what it had waiting is not worked on', async () => {
  const { submit, batches, work, idle } = squares(2, 0)
  work.held = true
  const controller = new AbortController()
  const stop = { signal: controller.signal, aborted: () => new Error('aborted') }
  const aborted = submit(range(1, 20), stop)
  const other = submit([30, 31, 32])
  while (batches.length < 1) await setImmediate()
  controller.abort()
  await expect(aborted).rejects.toThrow('aborted')
  await expect(submit([1], stop)).rejects.toThrow('aborted')
  work.held = false
  work.release()
  expect(await other).toEqual([900, 961, 1024])
  await idle()
  expect(batches).toEqual([[1, 2], [30, 31], [32]])
})

test('idle settles after everything that was submitted', async () => {
  const { submit, idle } = squares(2, 1)
  const order: string[] = []
  const last = submit(range(1, 10)).then(() => order.push('call'))
  await idle().then(() => order.push('idle'))
  await last
  expect(order).toEqual(['call', 'idle'])
})
