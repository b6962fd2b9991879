// The same damaged files to PyTorch and to our reader: what ours takes, PyTorch takes, with the same names,
// dtypes, shapes and bytes. (PyTorch takes more: it checks no checksum and no end.) Runs where a Python has
// the torch of the LibTorch in use, else says why not.

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { soak } from '../../support/fixture-lines.js'
import { mutate } from '../../support/mutate.js'
import { findPython } from '../../support/python-with-torch.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { type Described, inOurs, pthFolder, readAll } from '../../support/torch-files.js'

const bases = [
  'four-arguments.legacy.pth',
  'state-dict.legacy.pth',
  'no-crc.zip.pth',
  'views.zip.pth',
]
const COUNT = soak ? 4000 : 400
const { python, why, skipped } = await findPython()

const digits = ['0', '1', 'q', 'K', '\x00', '\x01'].map((text) => Buffer.from(text, 'latin1'))

test.skipIf(skipped)(`${COUNT} files to PyTorch as well${skipped ? ` (${why})` : ''}`, async () => {
  if (python === undefined) throw new Error(why)
  const folder = temporaryFolder()
  const paths = Array.from({ length: COUNT }, (_, number) => {
    const file = bases[number % bases.length] as string
    const path = join(folder, `${number}.pth`)
    const whole = readFileSync(join(pthFolder, file))
    writeFileSync(
      path,
      number < bases.length ? whole : mutate(`live.${number}`, whole, digits).bytes,
    )
    return path
  })
  const script = join(import.meta.dirname, 'torch_live.py')
  const { stdout, stderr } = spawnSync(python, [script], {
    input: paths.join('\n'),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  const theirs = stdout.trim().split('\n')
  expect(theirs.length, stderr).toBe(COUNT)
  const counts = { both: 0, neither: 0, 'PyTorch alone': 0 }
  const wrong: string[] = []
  for (const [number, line] of theirs.entries()) {
    const { tensors, error } = JSON.parse(line) as { tensors?: Described[]; error?: string }
    const ours = await readAll(paths[number] as string).catch(() => undefined)
    if (!ours) counts[tensors ? 'PyTorch alone' : 'neither']++
    else if (!tensors) wrong.push(`${number}: ours alone; PyTorch: ${error}`)
    else {
      counts.both++
      const expected = inOurs(tensors, ours.weights.prefix)
      const same = JSON.stringify(ours.tensors) === JSON.stringify(expected)
      if (!same) wrong.push(`${number}: ${JSON.stringify([ours.tensors, expected])}`)
    }
  }
  console.log(`${COUNT} files to PyTorch and ours: ${JSON.stringify(counts)}`)
  rmSync(folder, { recursive: true })
  expect(wrong).toEqual([])
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0)
})
