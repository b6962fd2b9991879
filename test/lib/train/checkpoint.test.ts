// Checkpoints with a trainer that only writes two files: what is saved is read back, damage is
// found and told, links never name what is not whole, whenever the writer is killed.

import { execFile, execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { McLossError } from '../../../lib/errors.js'
import { openCheckpoint, readModelMetadata, saveCheckpoint } from '../../../lib/train/checkpoint.js'
import { onBrokenDisk, withoutLinks } from '../../support/broken-disk.js'
import { fakeTrainer, stateOf } from '../../support/checkpoint-fakes.mjs'
import { soak } from '../../support/fixture-lines.js'

const root = join(import.meta.dirname, '../../..')
const temporary = () => mkdtempSync(join(tmpdir(), 'mcloss-test-'))
const save = (runDir: string, step: number, ...links: ('last' | 'best')[]) =>
  saveCheckpoint({ runDir, trainer: fakeTrainer(step), state: stateOf(step), links })
const folders = (runDir: string) => readdirSync(join(runDir, 'checkpoints')).sort()

test('what is saved is read back, from the checkpoint, its link and the run folder', async () => {
  const runDir = temporary()
  const path = await save(runDir, 7, 'last', 'best')
  expect(path).toBe(join(runDir, 'checkpoints', 'epoch-0002-step-00000007'))
  expect(readdirSync(path).sort()).toEqual([
    'manifest.json',
    'model.safetensors',
    'optimizer.safetensors',
    'state.json',
  ])
  for (const from of [path, join(runDir, 'last'), join(runDir, 'best'), runDir]) {
    expect(await openCheckpoint(from)).toEqual({ path: realpathSync(path), state: stateOf(7) })
  }
})

test('the manifest has sizes and hashes as sha256sum computes them', async () => {
  const path = await save(temporary(), 1, 'last')
  const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))
  for (const name of ['model.safetensors', 'optimizer.safetensors', 'state.json']) {
    const [digest] = execFileSync('sha256sum', [join(path, name)], { encoding: 'utf8' }).split(' ')
    expect(manifest[name]).toEqual({ bytes: readFileSync(join(path, name)).length, sha256: digest })
  }
})

test('a run folder can be moved: its links are relative', async () => {
  const runDir = temporary()
  await save(runDir, 1, 'last', 'best')
  renameSync(runDir, `${runDir}-moved`)
  expect((await openCheckpoint(`${runDir}-moved`)).state.step).toBe(1)
})

test('the model file says whose it is', async () => {
  const path = await save(temporary(), 4, 'last')
  expect(await readModelMetadata(join(path, 'model.safetensors'))).toEqual({
    config: { seed: 4 },
    classes: stateOf(4).classes,
    metrics: {},
    libtorch: '9.9.9',
  })
})

test('only what last and best name is kept, best however old it is', async () => {
  const runDir = temporary()
  await save(runDir, 1, 'last', 'best')
  for (const step of [2, 3, 4]) await save(runDir, step, 'last')
  expect(folders(runDir)).toEqual(['epoch-0000-step-00000001', 'epoch-0001-step-00000004'])
  expect((await openCheckpoint(join(runDir, 'best'))).state.step).toBe(1)
  await save(runDir, 5, 'last', 'best')
  expect(folders(runDir)).toEqual(['epoch-0001-step-00000005'])
})

test('the remains of an interrupted save go with the next', async () => {
  const runDir = temporary()
  mkdirSync(join(runDir, 'checkpoints', '.epoch-0000-step-00000009.tmp'), { recursive: true })
  writeFileSync(join(runDir, '.last.tmp'), '')
  await save(runDir, 1, 'last')
  expect(folders(runDir)).toEqual(['epoch-0000-step-00000001'])
  expect(readdirSync(runDir).sort()).toEqual(['checkpoints', 'last'])
})

test('what a user put beside the checkpoints stays', async () => {
  const runDir = temporary()
  mkdirSync(join(runDir, 'checkpoints', 'epoch-1-kept'), { recursive: true })
  writeFileSync(join(runDir, 'checkpoints', '.notes'), '')
  await save(runDir, 1, 'last')
  expect(folders(runDir)).toEqual(['.notes', 'epoch-0000-step-00000001', 'epoch-1-kept'])
})

test('a step saved again replaces the one before', async () => {
  const runDir = temporary()
  await save(runDir, 1, 'last', 'best')
  const again = { ...stateOf(1), libtorch: 'other' }
  const links = ['last', 'best'] as ('last' | 'best')[]
  const path = await saveCheckpoint({ runDir, trainer: fakeTrainer(2), state: again, links })
  expect(folders(runDir)).toEqual([basename(path)])
  expect((await openCheckpoint(runDir)).state).toEqual(again)
})

test('a trainer that cannot save leaves the run as it was', async () => {
  const runDir = temporary()
  await save(runDir, 1, 'last', 'best')
  const fails = (error: Error) => {
    const trainer = { save: () => Promise.reject(error) }
    return saveCheckpoint({ runDir, trainer, state: stateOf(2), links: ['last'] })
  }
  await expect(fails(new McLossError('E_IO', 'native: disk full'))).rejects.toThrow('disk full')
  await expect(fails(new Error('ENOSPC'))).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/ENOSPC.*as they were/),
  })
  expect((await openCheckpoint(runDir)).state.step).toBe(1)
  expect(folders(runDir)).toEqual(['epoch-0000-step-00000001']) // and takes no space
})

const flip = (path: string, at: number) => {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ 4
  writeFileSync(path, bytes)
}
const damages: Record<string, (path: string) => void> = {
  'a flipped bit at its start': (path) => flip(path, 0),
  'a flipped bit in its middle': (path) => flip(path, Math.floor(readFileSync(path).length / 2)),
  // two bytes: the last one of a JSON file is a newline that nothing depends on
  'a cut end': (path) => truncateSync(path, readFileSync(path).length - 2),
  'nothing in it': (path) => truncateSync(path, 0),
  'its absence': (path) => rmSync(path),
}

describe.each(['model.safetensors', 'optimizer.safetensors', 'state.json', 'manifest.json'])(
  'damage to %s',
  (name) => {
    test.each(Object.keys(damages))(
      '%s is told, with the checkpoint to use instead',
      async (kind) => {
        const runDir = temporary()
        const best = await save(runDir, 1, 'last', 'best')
        const last = await save(runDir, 2, 'last')
        damages[kind]?.(join(last, name))
        const error = await openCheckpoint(runDir).catch((reason) => reason)
        expect(error).toMatchObject({ code: 'E_CHECKPOINT' })
        expect(error.message).toContain(`${realpathSync(last)} cannot be used: `)
        // A flip inside the manifest shows as a wrong size or hash of the file it is about.
        if (name !== 'manifest.json') expect(error.message).toContain(name)
        expect(error.message).toContain(`Go on from ${realpathSync(best)} instead.`)
        damages[kind]?.(join(best, name))
        await expect(openCheckpoint(runDir)).rejects.toThrow(/No other checkpoint .* is whole/)
      },
    )
  },
)

test('a link that names nothing, a folder of something else, nothing at all', async () => {
  const runDir = temporary()
  const path = await save(runDir, 1, 'best')
  const refuse = async (from: string, words: RegExp) =>
    expect(openCheckpoint(from)).rejects.toMatchObject({
      code: 'E_CHECKPOINT',
      message: expect.stringMatching(words),
    })
  await refuse(runDir, new RegExp(`last cannot be used.*Go on from .*${basename(path)}`))
  symlinkSync('checkpoints/gone', join(runDir, 'last'))
  await refuse(runDir, /names nothing.*Go on from/)
  await refuse(temporary(), /manifest\.json is missing/)
  await refuse(join(runDir, 'nowhere'), /nowhere.*nothing is there/)
})

test('a state of another version is refused', async () => {
  const runDir = temporary()
  const state = { ...stateOf(1), version: 2 as unknown as 1 }
  await saveCheckpoint({ runDir, trainer: fakeTrainer(1), state, links: ['last'] })
  await expect(openCheckpoint(runDir)).rejects.toThrow(/version 1 but received 2/)
})

test('files that are no model of ours', async () => {
  const folder = temporary()
  const file = (name: string, header: string, length = header.length) => {
    const prefix = Buffer.alloc(8)
    prefix.writeBigUInt64LE(BigInt(length))
    writeFileSync(join(folder, name), Buffer.concat([prefix, Buffer.from(header)]))
    return join(folder, name)
  }
  const ours = { format: 'mcloss', config: '{}', classes: '["a"' }
  writeFileSync(join(folder, 'short'), 'abc')
  for (const path of [
    join(folder, 'short'),
    file('plain', '{"weight":{}}'),
    file('null', 'null'),
    file('words', 'not json'),
    file('long', '{}', 2 ** 40),
    file('cut', '{"__metadata__":{}}', 10),
    file('other', '{"__metadata__":{"format":"pt"}}'),
    file('damaged', JSON.stringify({ __metadata__: ours })),
  ]) {
    await expect(readModelMetadata(path), path).rejects.toMatchObject({
      code: 'E_WEIGHTS',
      message: expect.stringContaining(path),
    })
  }
  await expect(readModelMetadata(join(folder, 'none'))).rejects.toMatchObject({ code: 'E_IO' })
})

// ---- killed while saving ----

let compiled = ''

beforeAll(() => {
  const out = temporary()
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const args = ['-p', join(root, 'tsconfig.build.json'), '--outDir', out, '--declaration', 'false']
  execFileSync(process.execPath, [tsc, ...args])
  writeFileSync(join(out, 'package.json'), '{"type": "module"}')
  compiled = join(out, 'train', 'checkpoint.js')
})

const writer = (runDir: string, from: number, to: number, killAt: number, disk = 'links') => [
  join(root, 'test', 'support', 'checkpoint-writer.mjs'),
  compiled,
  runDir,
  ...[from, to, killAt].map(String),
  disk,
]

/**
 * What has to hold whenever a writer was killed: both links open, every folder with a checkpoint's
 * name is a whole one, and the next save tidies up.
 */
async function expectUsable(runDir: string, least: number): Promise<number> {
  for (const name of folders(runDir)) {
    if (!name.startsWith('.')) await openCheckpoint(join(runDir, 'checkpoints', name))
  }
  const { path, state } = await openCheckpoint(runDir)
  expect(state.step).toBeGreaterThanOrEqual(least)
  expect(readFileSync(join(path, 'optimizer.safetensors'))[0]).toBe(state.step % 256)
  const best = await openCheckpoint(join(runDir, 'best'))
  expect(best.state.step).toBeLessThanOrEqual(state.step)
  const next = state.step + 1
  await save(runDir, next, 'last')
  expect((await openCheckpoint(runDir)).state.step).toBe(next)
  const names = folders(runDir)
  expect(names.filter((name) => name.startsWith('.'))).toEqual([])
  expect(names.length).toBeLessThanOrEqual(2)
  return next
}

const disks = ['links', 'no links']
// Each kill is a process of its own.
const STRIDE = soak ? 1 : 3

test.each(disks)('killed before any file operation of a save (%s)', async (disk) => {
  const operations = new Set<string>()
  const saves: [number, number][] = [[1, 2]] // a save that moves both links
  if (disk === 'links') saves.push([3, 4]) // a save that moves last alone
  for (const [before, step] of saves) {
    for (let killAt = 1; ; killAt += STRIDE) {
      const runDir = temporary()
      const start = () => save(runDir, before, 'last', 'best')
      await (disk === 'links' ? start() : onBrokenDisk(withoutLinks, start))
      const killed = await new Promise<boolean>((settle, fail) => {
        execFile(process.execPath, writer(runDir, step, step, killAt, disk), (error, _, stderr) => {
          if (error && error.signal !== 'SIGKILL') fail(new Error(stderr))
          else settle(error !== null)
        })
      })
      operations.add(`${folders(runDir)} ${readdirSync(runDir)}`)
      await expectUsable(runDir, before)
      if (!killed) break
    }
  }
  expect(operations.size).toBeGreaterThan(soak ? 5 : 2) // the kills met the save in different stages
})

test('killed at any time, and again, in the same run folder', async () => {
  const runDir = temporary()
  let step = 1
  await save(runDir, step, 'last', 'best')
  for (let round = 0; round < 15; round++) {
    const child = spawn(process.execPath, writer(runDir, step + 1, step + 1000, 0))
    let told = ''
    child.stdout.on('data', (data) => {
      told += data
    })
    const exit = new Promise((settle) => child.on('exit', (_, signal) => settle(signal)))
    await new Promise((settle) => child.stdout.once('data', settle))
    await new Promise((settle) => setTimeout(settle, Math.random() * 30))
    child.kill('SIGKILL')
    expect(await exit).toBe('SIGKILL')
    step = await expectUsable(runDir, Number(told.trim().split('\n').at(-1)))
  }
  expect(existsSync(join(runDir, 'best'))).toBe(true)
})
