// Files of our safetensors writer. Without Python: byte for byte what the official writer made of
// the same tensors, and JSON.parse reads the header. With MCLOSS_PYTHON, a Python that has torch
// and safetensors, the official reader reads what we wrote.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NativeTrainer } from '../../../lib/binding.js'
import { wholeBatch } from '../../support/formula-batch.js'
import { loadFormulaWeights } from '../../support/formula-weights.js'
import { plainRead, smallTrainer } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const root = join(import.meta.dirname, '../..')
const folder = temporaryFolder()
let trainer: NativeTrainer

beforeAll(async () => {
  trainer = await smallTrainer()
  await loadFormulaWeights(trainer, folder)
})

afterAll(async () => {
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

async function saved(name: string, metadata: Record<string, string>): Promise<string> {
  const into = join(folder, name)
  mkdirSync(into)
  await trainer.save(into, metadata)
  return into
}

/** Every ASCII character, and characters of two, three and four bytes. */
const everyCharacter = {
  ascii: String.fromCharCode(...Array(128).keys()),
  'a "name" \\ with\n\t\u0001 in it': '',
  wide: '\u0080 \u00e9 \u07ff \u0800 \u2028 \u4e2d \ufeff \uffff \u{10000} \u{1f426} \u{10ffff}',
  '': 'the empty name',
  constructor: '{"not":"an object"}',
}

test('the same tensors are the same bytes as of the official writer', async () => {
  const path = join(await saved('formula', { note: 'test' }), 'model.safetensors')
  const expected = join(root, 'fixtures/safetensors/official.safetensors')
  expect(plainRead(path)).toEqual(plainRead(expected))
  expect(readFileSync(path).equals(readFileSync(expected))).toBe(true)
})

test('the header: all metadata, data that begins at a multiple of 8, aligned tensors', async () => {
  const into = await saved('characters', everyCharacter)
  for (const [name, metadata] of [
    ['model', everyCharacter],
    ['optimizer', {}],
  ] as const) {
    const path = join(into, `${name}.safetensors`)
    const file = plainRead(path)
    expect(file.metadata).toEqual(metadata)
    expect(Number(readFileSync(path).readBigUInt64LE(0)) % 8).toBe(0)
    for (const { dtype, data_offsets } of file.tensors.values()) {
      expect(data_offsets[0] % (dtype === 'I64' ? 8 : 4)).toBe(0)
    }
  }
})

const python = process.env.MCLOSS_PYTHON
const why = python ? '' : ' (MCLOSS_PYTHON names no Python with torch and safetensors)'

test.skipIf(why !== '')(`the official reader reads a trained model's files${why}`, async () => {
  const batch = wholeBatch(16, 32, 1)
  for (let step = 0; step < 2; step++) await trainer.step(batch, { step, seed: 5, lr: 0.05 })
  const into = await saved('trained', everyCharacter)
  const script = join(root, 'reference/python/read_safetensors.py')
  for (const name of ['model.safetensors', 'optimizer.safetensors']) {
    const path = join(into, name)
    const text = execFileSync(python ?? '', [script, path], { encoding: 'utf8' })
    const { metadata, tensors } = plainRead(path)
    const expected = [...tensors].map(([key, { dtype, shape, bytes }]) => {
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      return [key, { dtype, shape, sha256 }]
    })
    expect(expected.length).toBeGreaterThan(5)
    expect(JSON.parse(text)).toEqual({ metadata, tensors: Object.fromEntries(expected) })
  }
})
