// Our safetensors reader against the official one's verdicts on odd and malformed files, and its
// values against theirs. test/native/train/weight-files.test.ts has the files that do not fit the model.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeTrainer } from '../../../lib/binding.js'
import { fixtureLines, soak } from '../../support/fixture-lines.js'
import {
  backboneValues,
  bytesOf,
  type FileCase,
  fileCases,
  numbersOf,
  outcome,
  smallTrainer,
  weightsOf,
  writeCase,
} from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { stricter, stricterCase } from '../../support/stricter.js'

const fixtures = join(import.meta.dirname, '../../fixtures/safetensors')
const official = join(fixtures, 'official.safetensors')
const folder = temporaryFolder()
const path = join(folder, 'given.safetensors')
let trainer: NativeTrainer

beforeAll(async () => {
  trainer = await smallTrainer()
})

afterAll(async () => {
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

const restore = () => trainer.loadWeights(official, { backboneOnly: false })

async function expectBackbone(values: Map<string, number[]>): Promise<void> {
  const { tensors } = await weightsOf(trainer, folder)
  for (const [name, expected] of values) {
    const tensor = tensors.get(name)
    expect(tensor && numbersOf(tensor), name).toEqual(expected)
  }
}

const isWhole = (given: FileCase) => given.fileBase64 === undefined

describe('files that the official reader accepts', () => {
  const accepted = fileCases.filter(({ name, accepts }) => accepts && !stricterCase(name))

  test.each(accepted.filter(isWhole))('$name', async (given) => {
    await restore()
    writeCase(path, given)
    expect(await outcome(trainer, path, true)).toEqual({ is: 'loaded', message: '' })
    await expectBackbone(backboneValues)
    // With the head asked for, the names beside the backbone's come back in the message.
    const { names = [] } = given
    const { is, message } = await outcome(trainer, path, false)
    expect(is).toBe('read')
    if (names.length === 0) expect(message).not.toContain('unexpected')
    else expect(message).toContain(`unexpected (${names.length}): ${names.join(' ')}\n`)
  })

  test.each(accepted.filter((given) => !isWhole(given)))('$name', async (given) => {
    writeCase(path, given)
    expect((await outcome(trainer, path, true)).is).toBe('read')
  })
})

test.each(fileCases.filter(({ accepts }) => !accepts))('refused: $name', async (given) => {
  await restore()
  const before = await weightsOf(trainer, folder)
  writeCase(path, given)
  expect((await outcome(trainer, path, true)).is).toBe('refused')
  expect(await weightsOf(trainer, folder)).toEqual(before)
})

test.each([
  ['empty file', /it is 0 bytes long/],
  ['header length beyond the file: one more', /its header length, 3, is more than 2\b/],
  ['more than 100 MB stated', /its header length, 100000001, is more than 100000000\b/],
  ['null', /the header does not begin with '\{'/],
  ['no closing brace', /expected '\}' at byte/],
  ['text behind', /text after the end at byte/],
  ['not UTF-8: latin-1', /not UTF-8 at byte/],
  ['name with a lone low one', /surrogate.* at byte/],
  ['same name twice, once escaped', /the name "head\.a" twice/],
  ['entry without shape', /tensor "head\.x" without dtype, shape/],
  ['shape [-1] of 4 bytes', /expected a non-negative integer at byte/],
  ['shape [2] of 4 bytes', /tensor "head\.x".* need 8 bytes, .* span 4\b/],
  ['shape [4294967296,4294967296] of 4 bytes', /tensor "head\.x": its shape is too large/],
  ["dtype 'float32'", /tensor "head\.x": dtype "float32" is none of/],
  ['overlap by one', /tensor "head\.b".* hole or overlap/],
  ['hole of one', /tensor "head\.b".* hole or overlap/],
  ['8 bytes behind', /the tensors take 1619 bytes, the file holds 1627\b/],
  ['metadata {"a":1}', /expected '"' at byte/],
])('the message of %s names the problem', async (name, says) => {
  const given = fileCases.find((one) => one.name === name)
  if (!given) throw new Error(`no case ${name}`)
  writeCase(path, given)
  expect((await outcome(trainer, path, true)).message).toMatch(says)
})

describe.each(stricter)('stricter than the official reader: $why', ({ cases, says }) => {
  const named = fileCases.filter(({ name }) =>
    cases.some((known) => (typeof known === 'string' ? known === name : known.test(name))),
  )
  test('its cases are there, and the official reader accepts them', () => {
    expect(named.length).toBeGreaterThanOrEqual(cases.length)
    for (const { name, accepts } of named) expect(accepts, name).toBe(true)
  })
  test.each(named)('$name', async (given) => {
    writeCase(path, given)
    expect(await outcome(trainer, path, true)).toEqual({
      is: 'refused',
      message: expect.stringMatching(says),
    })
  })
})

test(`a file cut short at every ${soak ? '' : 'fifth '}byte`, async () => {
  const plain = fileCases.find(({ name }) => name === 'plain')
  if (!plain) throw new Error('no plain case')
  const whole = bytesOf(plain)
  for (let length = 0; length < whole.length; length += soak ? 1 : 5) {
    writeFileSync(path, whole.subarray(0, length))
    expect((await outcome(trainer, path, true)).is, `${length} bytes`).toBe('refused')
  }
  writeFileSync(path, whole)
  expect((await outcome(trainer, path, true)).is).toBe('loaded')
})

test('a folder in the place of a file', async () => {
  const here = join(folder, 'folder.safetensors')
  mkdirSync(here)
  await expect(trainer.loadWeights(here, { backboneOnly: true })).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining(here),
  })
})

const outcomeCode = (load: Promise<unknown>) =>
  load.then(
    () => 'loaded',
    (error: { code?: string }) => error.code,
  )

test('a pipe without a writer is refused, not waited for', async () => {
  const pipe = join(folder, 'pipe.safetensors')
  execFileSync('mkfifo', [pipe])
  const load = outcomeCode(trainer.loadWeights(pipe, { backboneOnly: true }))
  // Opened for both, it lets go a reader that waits, so that a defect here fails and does not hang.
  const late = setTimeout(60_000, 'waited for', { ref: false })
  const result = await Promise.race([load, late])
  closeSync(openSync(pipe, 'r+'))
  await load
  expect(result).toBe('E_IO')
})

interface ValuesLine {
  file: string
  sha256: Record<string, string>
}
test.each(fixtureLines<ValuesLine>('safetensors/values.jsonl'))(
  'every dtype: $file',
  async ({ file, sha256 }) => {
    await restore()
    await trainer.loadWeights(join(fixtures, file), { backboneOnly: true, anyValues: true })
    const { tensors } = await weightsOf(trainer, folder)
    for (const [name, digest] of Object.entries(sha256)) {
      const bytes = tensors.get(name)?.bytes ?? Buffer.alloc(0)
      expect(createHash('sha256').update(bytes).digest('hex'), name).toBe(digest)
    }
  },
)

test("the official writer's file, read and written again, is the same bytes", async () => {
  await restore()
  await trainer.save(folder, { note: 'test' })
  const again = readFileSync(join(folder, 'model.safetensors'))
  expect(again.equals(readFileSync(official))).toBe(true)
})
