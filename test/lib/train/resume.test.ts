// A run that goes on: from another folder with the paths of its start, and in one process at a time.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import type { RunEvent } from '../../../lib/events.js'
import { evaluate } from '../../../lib/predict/inference.js'
import { resumedConfig } from '../../../lib/train/session.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const start = process.cwd()
const folder = realpathSync(temporaryFolder())
mkdirSync(join(folder, 'elsewhere'))
afterEach(() => process.chdir(start))

/** As a user in `folder` writes it. */
const relative = (name: string, epochs = 1): ConfigInput => {
  const { data, ...rest } = toyConfig('.', { name, optim: { lr: 0.05, epochs, batchSize: 8 } })
  return { ...rest, out: 'runs', data: { ...data, root: 'birds' } } as ConfigInput
}
const trainIn = (from: string, input: ConfigInput, resume?: string) => {
  process.chdir(from)
  return train(defineConfig(input), resume === undefined ? {} : { resume })
}
const eventsOf = async (run: AsyncIterable<RunEvent>) => {
  const events: RunEvent[] = []
  for await (const event of run) events.push(event)
  return events
}
const longer = async (resume: string) => {
  const input = await resumedConfig(resume)
  return { ...input, optim: { ...input.optim, epochs: input.optim.epochs + 1 } }
}

test('a run resumed from another folder finds its data and its store', async () => {
  const { runDir } = await trainIn(folder, relative('moving')).result
  expect(runDir).toBe(join(folder, 'runs/moving'))
  const stored = JSON.parse(readFileSync(join(runDir, 'config.json'), 'utf8'))
  expect(stored).toMatchObject({ out: join(folder, 'runs'), data: { root: join(folder, 'birds') } })

  const elsewhere = join(folder, 'elsewhere')
  process.chdir(elsewhere)
  const from = '../runs/moving'
  const run = trainIn(elsewhere, await longer(from), from)
  const events = await eventsOf(run)
  expect(events.map(({ type }) => type)).not.toContain('prepare')
  expect((await run.result).last.epoch).toBe(1)
  expect(await evaluate({ weights: '../runs/moving/best' })).toMatchObject({ n: 15 })
  expect(readdirSync(elsewhere)).toEqual([])
})

test('weights are those of the folder that the run was started in', () => {
  process.chdir(folder)
  const model = { ...relative('x').model, weights: 'w.safetensors' }
  const data = { ...relative('x').data, storeDir: 'stores' } as ConfigInput['data']
  const config = defineConfig({ ...relative('x'), model, data })
  expect(config.model.weights).toBe(join(folder, 'w.safetensors'))
  expect(config.data.storeDir).toBe(join(folder, 'stores'))
  expect(defineConfig(toyConfig('/absolute')).out).toBe('/absolute/runs')
})

test('a run of before, with relative paths, goes on in the folder it was started in', async () => {
  const { runDir } = await trainIn(folder, relative('before')).result
  const checkpoint = realpathSync(join(runDir, 'last'))
  const edit = (name: string, change: (value: Record<string, unknown>) => object) => {
    const path = join(checkpoint, name)
    const text = JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8'))))
    writeFileSync(path, text)
    return { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') }
  }
  const listed = edit('state.json', (state) => {
    const config = state.config as ConfigInput
    return { ...state, config: { ...config, out: 'runs', data: { ...config.data, root: 'birds' } } }
  })
  edit('manifest.json', (manifest) => ({ ...manifest, 'state.json': listed }))
  expect((await resumedConfig(runDir)).data.root).toBe('birds')

  const { last } = await trainIn(folder, await longer(runDir), runDir).result
  expect(last.epoch).toBe(1)
})

test('messages have the absolute path', async () => {
  const data = { name: 'image-folder', root: 'nowhere', resize: 64 } as const
  await expect(trainIn(folder, { ...relative('x'), data }).result).rejects.toMatchObject({
    code: 'E_DATA',
    message: expect.stringContaining(`at ${join(folder, 'nowhere')}:`),
  })
})

test('a second process, or a second run of this one, is refused while a run goes on', async () => {
  const abort = new AbortController()
  process.chdir(folder)
  const run = train(defineConfig(relative('claimed', 1000)), { signal: abort.signal })
  const { runDir } = (await firstOf(run, 'start')) as { runDir: string }
  await untilThere(join(runDir, 'last'))
  expect(JSON.parse(readFileSync(join(runDir, 'claim.json'), 'utf8')).pid).toBe(process.pid)
  const metrics = () => readFileSync(join(runDir, 'metrics.jsonl'), 'utf8')
  for (const resume of [runDir, join(runDir, 'last')]) {
    await expect(trainIn(folder, relative('claimed', 1000), resume).result).rejects.toMatchObject({
      code: 'E_BUSY',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    await expect(resumedConfig(resume)).rejects.toMatchObject({ code: 'E_BUSY' })
  }
  abort.abort()
  await expect(run.result).rejects.toMatchObject({ code: 'E_ABORTED' })
  expect(metrics().match(/"type":"start"/g)).toHaveLength(1)
  expect(existsSync(join(runDir, 'claim.json'))).toBe(false)
})

test('a run gives its folder back also when it fails, is refused or is stopped', async () => {
  const { runDir } = await trainIn(folder, relative('back')).result
  const claim = join(runDir, 'claim.json')
  expect(existsSync(claim)).toBe(false)
  const other = { ...(await longer(runDir)), seed: 2 }
  await expect(trainIn(folder, other, runDir).result).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
  })
  expect(existsSync(claim)).toBe(false)

  const abort = new AbortController()
  const input = await longer(runDir)
  const stopped = train(defineConfig(input), { resume: runDir, signal: abort.signal })
  await firstOf(stopped, 'start')
  expect(existsSync(claim)).toBe(true)
  abort.abort()
  await expect(stopped.result).rejects.toMatchObject({ code: 'E_ABORTED' })
  expect(existsSync(claim)).toBe(false)
})

async function firstOf(run: AsyncIterable<RunEvent>, type: RunEvent['type']): Promise<RunEvent> {
  for await (const event of run) if (event.type === type) return event
  throw new Error(`no event ${type}`)
}

async function untilThere(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((settle) => setTimeout(settle, 5))
}
