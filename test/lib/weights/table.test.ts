// The table that a header gives: what the reader says of it without a byte of a tensor being read.

import { rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readWeightMetadata } from '../../../lib/weights/index.js'
import {
  metadataText,
  readSafetensors,
  type SafetensorsHeader,
} from '../../../lib/weights/safetensors.js'
import { contiguousStrides } from '../../../lib/weights/table.js'
import { fileCases, plainRead, writeCase } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { stricterCase } from '../../support/stricter.js'

const fixtures = join(import.meta.dirname, '../../fixtures/safetensors')
const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

async function headerOf(path: string): Promise<SafetensorsHeader> {
  const file = await open(path)
  try {
    return await readSafetensors(file, path, (await file.stat()).size)
  } finally {
    await file.close()
  }
}

test.each(['official', 'values-1', 'values-2'])('%s: every tensor where it lies', async (name) => {
  const path = join(fixtures, `${name}.safetensors`)
  const { metadata, tensors } = plainRead(path)
  const header = await headerOf(path)
  expect(header.metadata).toEqual(metadata)
  expect(await readWeightMetadata(path)).toEqual(metadata)
  const begin = Math.min(...header.tensors.map(({ storage }) => storage.begin))
  const found = header.tensors.map(({ name, dtype, shape, storage }) => [
    name,
    { dtype, shape, data_offsets: [storage.begin - begin, storage.end - begin] },
  ])
  const expected = [...tensors].map(([name, { bytes: _, ...entry }]) => [name, entry])
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected))
  for (const { shape, strides, offset } of header.tensors) {
    expect(strides).toEqual(shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1)))
    expect(offset).toBe(0)
  }
})

test('strides of a shape with zeros', () => {
  expect(contiguousStrides([])).toEqual([])
  expect(contiguousStrides([2, 0, 3])).toEqual([3, 3, 1])
})

describe('the verdict on a header alone is that on the file', () => {
  // A BOOL's bytes are no matter of the header.
  test.each(fileCases.filter(({ name }) => !name.startsWith('BOOL of 2')))(
    '$name',
    async (given) => {
      const path = join(folder, 'given.safetensors')
      writeCase(path, given)
      const read = headerOf(path)
      if (given.accepts && !stricterCase(given.name)) await read
      else await expect(read).rejects.toMatchObject({ code: 'E_WEIGHTS' })
    },
  )
})

test('metadata as text: everything a string can hold, and half a surrogate pair replaced', () => {
  const odd = { 'a "name"\n': '\u0001 \\ \u{1f426}', __proto__: 'x', '': '' }
  expect(JSON.parse(metadataText(odd))).toEqual(odd)
  expect(metadataText({})).toBe('')
  expect(metadataText({ '\ud800': 'a\udc26' })).toBe('{"\ufffd":"a\ufffd"}')
})
