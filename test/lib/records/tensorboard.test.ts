// The event files of a run's starts: readers take them by name, so each comes after those before.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TensorBoard } from '../../../lib/records/tensorboard.js'
import { plainEvents } from '../../support/event-reader.js'
import { temporaryFolder } from '../../support/small-birds.js'

test.each([
  ['in the same second', Math.floor(Date.now() / 1000) + 2],
  ['with a clock that was set back', 9_000_000_000],
])('a start %s has a file of its own, after the others', async (_, seconds) => {
  const folder = join(temporaryFolder(), 'tensorboard')
  mkdirSync(folder)
  const before = `events.out.tfevents.${seconds}.mcloss`
  writeFileSync(join(folder, before), '')
  writeFileSync(join(folder, 'notes.txt'), '')
  await TensorBoard.open(folder, 1)
  const [first, second, ...others] = readdirSync(folder).sort()
  expect(first).toBe(before)
  expect(second).toBe(`events.out.tfevents.${seconds + 1}.mcloss`)
  expect(others).toEqual(['notes.txt'])
})

test('points that come fast are written together, none is left behind', async () => {
  const folder = join(temporaryFolder(), 'tensorboard')
  const board = await TensorBoard.open(folder, 1)
  for (let step = 1; step <= 100; step++) await board.add(step, { loss: step }, 'progress/')
  await board.flush()
  const points = Array.from({ length: 100 }, (_, at) => [at + 1, at + 1])
  expect(plainEvents(folder)).toEqual({ 'progress/loss': points })
})
