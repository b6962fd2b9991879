// A trainer's life: two steps in flight at most, dispose, and the end of the process.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../lib/binding.js'
import { toyTrainer, wholeBatch } from '../formula-batch.js'

const batch = wholeBatch(16, 32, 5)
const options = { step: 0, seed: 1, lr: 0.01 }

test('a third step in flight is refused, the two others finish', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const inFlight = [trainer.step(batch, options), trainer.step(batch, options)]
  await expect(trainer.step(batch, options)).rejects.toMatchObject({ code: 'E_STATE' })
  await Promise.all(inFlight)
  await trainer.step(batch, options)
  expect(await trainer.stats()).toMatchObject({ steps: 3, n: 48 })
  await trainer.dispose()
})

test('dispose waits for what is running, twice is fine, calls after it are refused', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const order: string[] = []
  const step = trainer.step(batch, options).then(() => order.push('step'))
  const disposed = trainer.dispose().then(() => order.push('dispose'))
  await Promise.all([step, disposed, trainer.dispose()])
  expect(order).toEqual(['step', 'dispose'])
  await trainer.dispose()
  for (const call of [
    () => trainer.step(batch, options),
    () => trainer.stats(),
    () => trainer.predict(batch),
    () => trainer.save('.', {}),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'E_STATE' })
  }
})

const program = (ending: string) => `
  const addon = process.env.MCLOSS_NATIVE
    ? require(process.env.MCLOSS_NATIVE)
    : require('bindings')({ bindings: 'mcloss', module_root: process.cwd() })
  addon.setErrorClass(class extends Error {})
  const { config, count } = JSON.parse(process.argv[1])
  const batch = {
    pixels: new Uint8Array(count * 32 * 32 * 3), count, height: 32, width: 32,
    windows: new Int32Array(count * 3), labels: new Int32Array(count),
  }
  const options = { step: 0, seed: 1, lr: 0.01 }
  addon.NativeTrainer.create(config).then(async (trainer) => {
    await trainer.step(batch, options)
    console.log('trained')
    ${ending}
  })`

for (const [what, ending, status] of [
  ['an undisposed trainer', '', 0],
  ['a step in flight', 'trainer.step(batch, options).then(() => console.log("stepped"))', 0],
  ['process.exit during a step', 'trainer.step(batch, options); process.exit(3)', 3],
] as const) {
  test(`the process ends cleanly with ${what}`, () => {
    const argument = JSON.stringify({ config: toyTrainer(), count: 64 })
    const child = spawnSync(process.execPath, ['-e', program(ending), argument], {
      cwd: join(import.meta.dirname, '..', '..'),
      encoding: 'utf8',
      timeout: 60_000,
    })
    const printed = ending.includes('stepped') ? 'trained\nstepped\n' : 'trained\n'
    expect(child).toMatchObject({ stdout: printed, stderr: '', status, signal: null })
  })
}
