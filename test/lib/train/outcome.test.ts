// One failure, told by a loop or by a promise: whoever asks gets it, and it is never lost.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { defineConfig } from '../../../lib/config/index.js'
import type { WarningEvent } from '../../../lib/events.js'
import { EventQueue } from '../../../lib/train/event-queue.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder } from '../../support/small-birds.js'

const index = join(import.meta.dirname, '../../../dist/index.js')
const folder = temporaryFolder()
const input = {
  data: { name: 'image-folder', root: join(folder, 'nowhere'), resize: 64 },
  model: { backbone: 'toy', head: 'linear' },
  loss: { name: 'cross-entropy' },
  optim: { lr: 0.1, epochs: 1, batchSize: 8 },
} as const
const bad = defineConfig({ ...input })

/** A program of its own, since what is not handled ends a process. */
function run(program: string) {
  const text = `
    import { setTimeout as sleep } from 'node:timers/promises'
    import { defineConfig, train } from '${index}'
    const bad = defineConfig(${JSON.stringify(input)})
    ${program}`
  const flags = ['--expose-gc', '--input-type=module', '-e', text]
  return spawnSync(process.execPath, flags, { encoding: 'utf8' })
}

const loop = "try { for await (const e of run); } catch (error) { console.log('loop', error.code) }"
const result = "await run.result.catch((error) => console.log('result', error.code))"

test.each([
  ['the loop, late', `const run = train(bad); await sleep(300); ${loop}`, 'loop E_DATA\n'],
  ['the result, late', `const run = train(bad); await sleep(300); ${result}`, 'result E_DATA\n'],
  [
    'the loop, late, with the result in hand',
    `const { result, ...rest } = train(bad); const run = rest; await sleep(300); ${loop}`,
    'loop E_DATA\n',
  ],
  [
    'both, in either order',
    `for (const run of [train(bad)]) { await sleep(300); ${loop}; await sleep(50); ${result} }
     for (const run of [train(bad)]) { await sleep(300); ${result}; await sleep(50); ${loop} }`,
    'loop E_DATA\nresult E_DATA\nresult E_DATA\nloop E_DATA\n',
  ],
  [
    'a loop that is all that is left of the run',
    `const run = train(bad)[Symbol.asyncIterator](); const events = { [Symbol.asyncIterator]: () => run };
     await sleep(300); gc(); await sleep(50); gc(); await sleep(50);
     try { for await (const e of events); } catch (error) { console.log('loop', error.code) }`,
    'loop E_DATA\n',
  ],
])('%s: gets the failure, and the process lives', (_, program, expected) => {
  const { status, stdout, stderr } = run(program)
  expect(stderr).toBe('')
  expect(stdout).toBe(expected)
  expect(status).toBe(0)
})

test.each([
  ['nobody', 'train(bad)'],
  ['a result that was handed out', 'const { result } = train(bad); await sleep(300)'],
  [
    'a loop that was left before',
    'const run = train(bad); const loop = run[Symbol.asyncIterator](); await loop.return()',
  ],
  ['a result whose failure is passed on', 'train(bad).result.then(() => {})'],
])('%s asks: the failure ends the process', (_, program) => {
  const { status, stderr } = run(program)
  expect(stderr).toMatch(/E_DATA/)
  expect(status).toBe(1)
})

test('a process that goes on sees the failure of a run that is out of reach', () => {
  const { status, stdout, stderr } = run(`
    train(bad)
    for (let i = 0; i < 100; i++) { await sleep(50); gc() }
    console.log('not seen')`)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/E_DATA/)
  expect(status).toBe(1)
})

test('a second loop beside the first is refused; one after it goes on', async () => {
  const run = train(bad)
  const [one, two] = [run[Symbol.asyncIterator](), run[Symbol.asyncIterator]()]
  const first = one.next()
  await expect(two.next()).rejects.toMatchObject({
    code: 'E_STATE',
    message: expect.stringMatching(/another loop/),
  })
  await expect(first).rejects.toMatchObject({ code: 'E_DATA' })
  await expect(run[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'E_DATA' })
})

test('a loop that is left hands the rest to the next one', async () => {
  const queue = new EventQueue()
  const warn = (message: string): WarningEvent => ({ type: 'warning', message })
  const read = (count: number) => {
    const reader = queue.read(() => {})
    return (async () => {
      const seen: unknown[] = []
      for await (const event of reader) if (seen.push(event) === count) break
      return seen
    })()
  }
  for (const message of ['one', 'two', 'three']) queue.push(warn(message))
  expect(await read(1)).toEqual([warn('one')])
  const rest = read(3)
  await sleep(1)
  queue.push(warn('four'))
  expect(await rest).toEqual(['two', 'three', 'four'].map(warn))
})
