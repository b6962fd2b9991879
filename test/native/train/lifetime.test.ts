// A trainer's life: two steps in flight at most, dispose, and the end of the process.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'

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

test('a batch is asked for each buffer once, so that what is kept is what is used', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const asked: string[] = []
  const counting = new Proxy(batch, {
    get(target, name, receiver) {
      if (['pixels', 'windows', 'labels'].includes(String(name))) asked.push(String(name))
      return Reflect.get(target, name, receiver)
    },
  })
  await trainer.step(counting, options)
  expect(asked.sort()).toEqual(['labels', 'pixels', 'windows'])
  await trainer.dispose()
})

const program = (ending: string) => `
  const addon = require(process.env.MCLOSS_NATIVE || process.cwd() + '/build/Release/mcloss.node')
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

const workerProgram = `
  const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
  if (isMainThread) {
    const argument = process.argv[1]
    ;(async () => {
      for (let n = 0; n < 12; n++) {
        const worker = new Worker(process.env.PROGRAM, { eval: true, workerData: argument })
        await new Promise((settle) => worker.once('message', settle))
        await new Promise((settle) => setTimeout(settle, n))
        await worker.terminate()
      }
      console.log('terminated')
    })()
  } else {
    process.argv[1] = workerData
    ${program(`
      parentPort.postMessage('trained')
      for (let step = 1; ; step++) await Promise.all([trainer.step(batch, options), trainer.stats()])
    `)}
  }`

test('terminating a worker thread while it trains leaves the process alive', () => {
  const argument = JSON.stringify({ config: toyTrainer(), count: 16 })
  const child = spawnSync(process.execPath, ['-e', workerProgram, argument], {
    cwd: join(import.meta.dirname, '../..', '..'),
    env: { ...process.env, PROGRAM: workerProgram },
    encoding: 'utf8',
    timeout: 300_000,
  })
  expect(child).toMatchObject({ stderr: '', status: 0, signal: null })
  expect(child.stdout).toMatch(/terminated\n$/)
})

for (const [what, ending, status] of [
  ['an undisposed trainer', '', 0],
  ['a step in flight', 'trainer.step(batch, options).then(() => console.log("stepped"))', 0],
  ['process.exit during a step', 'trainer.step(batch, options); process.exit(3)', 3],
] as const) {
  test(`the process ends cleanly with ${what}`, () => {
    const argument = JSON.stringify({ config: toyTrainer(), count: 64 })
    const child = spawnSync(process.execPath, ['-e', program(ending), argument], {
      cwd: join(import.meta.dirname, '../..', '..'),
      encoding: 'utf8',
      timeout: 300_000,
    })
    const printed = ending.includes('stepped') ? 'trained\nstepped\n' : 'trained\n'
    expect(child).toMatchObject({ stdout: printed, stderr: '', status, signal: null })
  })
}
