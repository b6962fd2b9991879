// The names last and best on a disk with links and on one without: every way to name a checkpoint
// leads to the same one.

import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openCheckpoint, saveCheckpoint } from '../../../lib/train/checkpoint.js'
import { locate, modelFileOf } from '../../../lib/train/links.js'
import { onBrokenDisk, refusal, withoutLinks } from '../../support/broken-disk.js'
import { fakeTrainer, stateOf } from '../../support/checkpoint-fakes.mjs'

const temporary = () => realpathSync(mkdtempSync(join(tmpdir(), 'mcloss-test-')))
const save = (runDir: string, step: number, ...links: ('last' | 'best')[]) =>
  saveCheckpoint({ runDir, trainer: fakeTrainer(step), state: stateOf(step), links })
const folders = (runDir: string) => readdirSync(join(runDir, 'checkpoints')).sort()
const start = process.cwd()
afterEach(() => process.chdir(start))

describe.each([
  ['links', {}],
  ['small files', withoutLinks],
] as const)('last and best as %s', (kind, disk) => {
  test('name their checkpoints, however these are asked for', async () => {
    const runDir = temporary()
    const [best, last] = await onBrokenDisk(disk, async () => [
      await save(runDir, 1, 'last', 'best'),
      await save(runDir, 4, 'last'),
    ])
    expect(lstatSync(join(runDir, 'best')).isSymbolicLink()).toBe(kind === 'links')
    expect(folders(runDir)).toEqual([basename(best as string), basename(last as string)])

    for (const [given, step] of [
      [runDir, 4],
      [join(runDir, 'last'), 4],
      [join(runDir, 'best'), 1],
      [best as string, 1],
    ] as const) {
      expect((await openCheckpoint(given)).state.step, given).toBe(step)
      expect((await locate(given, 'last')).runDir, given).toBe(runDir)
    }
    const bestModel = join(best as string, 'model.safetensors')
    for (const given of [runDir, join(runDir, 'best'), join(runDir, 'best/model.safetensors')]) {
      expect(await modelFileOf(given), given).toBe(bestModel)
    }
    expect(await modelFileOf(join(runDir, 'last'))).toBe(join(last as string, 'model.safetensors'))
    expect(await modelFileOf(bestModel)).toBe(bestModel)
    process.chdir(runDir)
    expect(await modelFileOf('best')).toBe(bestModel)
    expect(await modelFileOf('.')).toBe(bestModel)
  })

  test('only what they name is kept, also after the disk has changed its mind', async () => {
    const runDir = temporary()
    await onBrokenDisk(disk, () => save(runDir, 1, 'last', 'best'))
    await save(runDir, 2, 'last')
    await onBrokenDisk(disk, () => save(runDir, 3, 'last'))
    expect(folders(runDir)).toEqual(['epoch-0000-step-00000001', 'epoch-0001-step-00000003'])
    await save(runDir, 4, 'last', 'best')
    expect(folders(runDir)).toEqual(['epoch-0001-step-00000004'])
  })
})

test('a name that cannot be read does not make its checkpoint look unused', async () => {
  const runDir = temporary()
  await save(runDir, 1, 'last', 'best')
  const broken = {
    readlink: () => {
      throw refusal('EIO')
    },
  }
  await expect(onBrokenDisk(broken, () => save(runDir, 2, 'last'))).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/the disk reports a fault/),
  })
  expect((await openCheckpoint(join(runDir, 'best'))).state.step).toBe(1)
  expect((await openCheckpoint(runDir)).state.step).toBe(2)
})

test('a copy that follows links goes on as a run: its folders are replaced by links', async () => {
  const original = temporary()
  await save(original, 1, 'last', 'best')
  const runDir = join(temporary(), 'copy')
  cpSync(original, runDir, { recursive: true, dereference: true })
  expect(lstatSync(join(runDir, 'last')).isDirectory()).toBe(true)
  expect(await locate(runDir, 'last')).toEqual({
    named: join(runDir, 'last'),
    runDir,
    path: join(runDir, 'last'),
  })
  expect((await openCheckpoint(runDir)).state.step).toBe(1)
  await save(runDir, 2, 'last', 'best')
  expect(lstatSync(join(runDir, 'last')).isSymbolicLink()).toBe(true)
  expect((await openCheckpoint(join(runDir, 'best'))).state.step).toBe(2)
})

test('other files called last or best are no names; what is not there is told by its whole path', async () => {
  const runDir = temporary()
  mkdirSync(join(runDir, 'checkpoints'))
  for (const text of ['checkpoints/a/../../x\n', '/etc\n', 'checkpoints/gone\n', 'words']) {
    writeFileSync(join(runDir, 'last'), text)
    await expect(openCheckpoint(runDir), text).rejects.toMatchObject({ code: 'E_CHECKPOINT' })
  }
  process.chdir(runDir)
  for (const nothing of [openCheckpoint('no/run'), modelFileOf('no/run')]) {
    await expect(nothing).rejects.toMatchObject({
      code: 'E_CHECKPOINT',
      message: expect.stringContaining(join(runDir, 'no/run')),
    })
  }
})

test('a folder that may not be looked at is not said to be absent', async () => {
  const broken = {
    stat: () => {
      throw refusal('EACCES')
    },
  }
  await expect(onBrokenDisk(broken, () => locate('/some/run', 'last'))).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/some\/run cannot be looked at.*EACCES/),
  })
})
