// Files of weights that are made to harm: pieces to build them from, and the look at their refusal.
// A test file with it reads weights by `given` alone, which sees the `open` that is watched here.

import { rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, vi } from 'vitest'
import { readWeights, type Weights } from '../../lib/weights/read.js'
import { bytesOf, dict, pickle, type TensorText, tensor, text } from './pickle-writer.js'
import { temporaryFolder } from './small-birds.js'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  return { ...real, open: vi.fn(real.open) }
})

const folder = temporaryFolder()
const path = join(folder, 'given.pth')
afterAll(() => rmSync(folder, { recursive: true }))

/** What `use` makes of the weights that are read from these bytes, and of the path they lie at. */
export function given<T>(file: Buffer, use: (weights: Weights, path: string) => Promise<T>) {
  writeFileSync(path, file)
  return readWeights(path, {}, (weights) => use(weights, path))
}

export const namesIn = (file: Buffer) =>
  given(file, async ({ tensors }) => tensors.map(({ name }) => name))

/** The message is of one line for each of at most 20 things, and begins with the file. */
export async function refused(file: Buffer, says: RegExp): Promise<void> {
  vi.mocked(open).mockClear()
  const begin = process.cpuUsage()
  const error = await namesIn(file).then(
    (found) => expect.fail(`it was read: ${found}`),
    (error: Error & { code?: string }) => error,
  )
  expect({ name: error.name, code: error.code, message: error.message }).toEqual({
    name: 'McLossError',
    code: 'E_WEIGHTS',
    message: expect.stringMatching(says),
  })
  expect(error.message.startsWith(`${path} is `)).toBe(true)
  expect(error.message.length).toBeLessThan(3000)
  const { user, system } = process.cpuUsage(begin) // of this process, however busy the machine
  expect(user + system).toBeLessThan(1_000_000)
  expect(vi.mocked(open).mock.calls.map(([opened]) => opened)).toEqual([path])
}

/** A sound tensor, and something beside it. */
export const beside = (...body: (Buffer | number | string)[]) =>
  pickle(dict(text('w'), tensor(), text('x'), ...body))
export const one = (given: TensorText) => pickle(dict(text('w'), tensor(given)))
export const repeat = (piece: Buffer | number, times: number) => {
  const bytes = bytesOf(piece)
  return Buffer.alloc(times * bytes.length, bytes)
}

export type Case = [name: string, data: Buffer, says: RegExp]
