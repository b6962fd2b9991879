// Small files of PyTorch's with one to three edits. With checksums: a typed error, or the same names,
// dtypes, shapes and bytes. Without: the same but for bytes where the edits are, unless an edit lies in the
// head, whose text can then say something else. A short share in every run, all 10,000 with MCLOSS_SOAK=1.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { McLossError } from '../../../lib/errors.js'
import { soak } from '../../support/fixture-lines.js'
import { type Mutant, mutate } from '../../support/mutate.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { pthFolder, type Reading, readAll } from '../../support/torch-files.js'

const bases = [
  'state-dict.zip.pth',
  'views.zip.pth',
  'checkpoint.zip.pth',
  'no-crc.zip.pth',
  'state-dict.legacy.pth',
  'four-arguments.legacy.pth',
]
const COUNT = soak ? 10_000 : 600

/** What an edit writes: opcodes, lengths, zip signatures, names. */
const pieces = [
  ...[[0], [0xff], [0x28], [0x52], [0x71, 0], [0x68, 0], [0x85], [0x2e], [0x80, 4], [0x8a, 255]],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0, 0, 0],
  [0x50, 0x4b, 1, 2],
  [0x50, 0x4b, 5, 6],
  [...Buffer.from('cos\nsystem\n')],
  [...Buffer.from('ctorch\nDoubleStorage\n')],
].map((bytes) => Uint8Array.from(bytes))

const shapesOf = ({ tensors }: Reading) =>
  tensors.map(([name, dtype, shape]) => [name, dtype, shape])

/** Whether all edits lie in bytes of tensors. */
function isInData({ edits }: Mutant, { weights }: Reading): boolean {
  return edits.every(([from, to]) =>
    weights.tensors.some(({ storage }) => from >= storage.begin && to <= storage.end),
  )
}

test(`${COUNT} edited files: a typed error, or what was there`, async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'mutant.pth')
  const before = process.memoryUsage().rss
  const counts = { same: 0, refused: 0, 'other values': 0, 'other head': 0 }
  const wrong: string[] = []
  let slowest = 0
  const whole = new Map<string, { bytes: Buffer; reading: Reading }>()
  for (const file of bases) {
    const reading = await readAll(join(pthFolder, file))
    whole.set(file, { bytes: readFileSync(join(pthFolder, file)), reading })
  }
  for (let number = 0; number < COUNT; number++) {
    const file = bases[number % bases.length] as string
    const base = whole.get(file) as { bytes: Buffer; reading: Reading }
    const mutant = mutate(`torch.${number}`, base.bytes, pieces)
    writeFileSync(path, mutant.bytes)
    const begin = process.cpuUsage()
    const found = await readAll(path).catch((error: unknown) => error)
    const { user, system } = process.cpuUsage(begin)
    slowest = Math.max(slowest, (user + system) / 1000)
    if (found instanceof McLossError && found.code === 'E_WEIGHTS') counts.refused++
    else if (found instanceof Error) wrong.push(`${number} ${file}: ${found.stack}`)
    else {
      const reading = found as Reading
      const isChecked = reading.weights.crc === 'checked'
      const sameShapes =
        JSON.stringify(shapesOf(reading)) === JSON.stringify(shapesOf(base.reading))
      const same = JSON.stringify(reading.tensors) === JSON.stringify(base.reading.tensors)
      if (same) counts.same++
      else if (!isChecked && sameShapes && isInData(mutant, base.reading)) counts['other values']++
      else if (!isChecked && !isInData(mutant, base.reading)) counts['other head']++
      else wrong.push(`${number} ${file} ${JSON.stringify(mutant.edits)}: read as something else`)
    }
  }
  const grown = (process.memoryUsage().rss - before) / 2 ** 20
  const largest = Math.max(...bases.map((file) => statSync(join(pthFolder, file)).size)) / 2 ** 20
  console.log(
    `${COUNT} mutants: ${JSON.stringify(counts)}, slowest ${slowest.toFixed(0)} ms, ` +
      `${grown.toFixed(0)} MiB more`,
  )
  rmSync(folder, { recursive: true })
  expect(wrong).toEqual([])
  expect(slowest).toBeLessThan(1000)
  expect(grown).toBeLessThan(2 * largest + 64)
  // All verdicts must have been met, or the mutants test nothing.
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0)
})
