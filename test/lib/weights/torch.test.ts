// Files that PyTorch wrote: names, dtypes, shapes and bytes as torch.load(weights_only=True) gives them.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readWeights } from '../../../lib/weights/read.js'
import { soak } from '../../support/fixture-lines.js'
import {
  dict,
  integer,
  pickle,
  tensor,
  text,
  torchLegacy,
  torchZip,
} from '../../support/pickle-writer.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { inOurs, pthFolder, readAll, torchCases } from '../../support/torch-files.js'

const folder = temporaryFolder()
const path = join(folder, 'given.pth')
afterAll(() => rmSync(folder, { recursive: true }))

test.each(torchCases)('$file', async ({ file, wrapper, tensors }) => {
  const { weights, tensors: found } = await readAll(join(pthFolder, file))
  const prefix = file.startsWith('ddp.') ? 'module.' : null
  expect(found).toEqual(inOurs(tensors, prefix))
  const { format, crc, ...rest } = weights
  const isZip = file.includes('.zip.')
  expect(format).toBe(isZip ? 'torch-zip' : 'torch-legacy')
  expect(crc).toBe(isZip && file !== 'no-crc.zip.pth' ? 'checked' : 'not checked')
  expect(rest).toMatchObject({ wrapper, prefix, unused: 0, metadata: {} })
})

test('a flipped byte in the data is found if there is a checksum', async () => {
  const whole = readFileSync(join(pthFolder, 'state-dict.zip.pth'))
  const { weights } = await readAll(join(pthFolder, 'state-dict.zip.pth'))
  const at = weights.tensors[0]?.storage.begin ?? 0
  whole[at] = (whole[at] ?? 0) ^ 1
  writeFileSync(path, whole)
  await expect(readAll(path)).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(/checksum/),
  })
})

test('a damaged record beside the weights is found as well', async () => {
  const whole = readFileSync(join(pthFolder, 'views.zip.pth'))
  const digits = whole.lastIndexOf('64', whole.indexOf('PK\x01\x02', 0, 'latin1'), 'latin1')
  whole.write('7', digits, 'latin1') // of .storage_alignment or .data/serialization_id
  writeFileSync(path, whole)
  await expect(readAll(path)).rejects.toThrow(/"views\.zip\/\.\S+" do not have/)
})

test.runIf(soak)(
  `300 MiB: read with a few MiB of memory, and found if one byte is wrong${soak ? '' : ' (only with MCLOSS_SOAK=1)'}`,
  async () => {
    const key = 'of 300 MiB'
    const content = Buffer.alloc(300 * 2 ** 20)
    const elements = integer(content.length / 4)
    const file = torchZip(
      pickle(dict(text('w'), tensor({ key, count: elements, shape: [elements] }))),
      [{ name: `x/data/${key}`, content }],
    )
    writeFileSync(path, file)
    const before = process.memoryUsage().rss
    await readWeights(path, {}, async ({ crc, tensors }) => {
      expect({ crc, shape: tensors[0]?.shape }).toEqual({
        crc: 'checked',
        shape: [content.length / 4],
      })
      expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 26)
    })
    file[Math.floor(file.length / 2)] = 1
    writeFileSync(path, file)
    await expect(readAll(path)).rejects.toThrow(/checksum/)
  },
)

test('a storage that nothing refers to is counted', async () => {
  const extra = { name: 'x/data/1', content: 'unused' }
  writeFileSync(path, torchZip(pickle(dict(text('w'), tensor())), [extra]))
  expect((await readAll(path)).weights).toMatchObject({ unused: 1 })
})

test('a legacy file by hand, as Python would have written it', async () => {
  writeFileSync(path, torchLegacy())
  const { weights } = await readAll(path)
  expect(weights.tensors).toEqual([
    {
      name: 'w',
      dtype: 'F32',
      shape: [3],
      strides: [1],
      offset: 0,
      storage: { begin: expect.any(Number), end: readFileSync(path).length },
    },
  ])
})

test('the file is closed when its reader has failed or is done', async () => {
  let descriptor = -1
  const failure = readWeights(join(pthFolder, 'views.zip.pth'), {}, async ({ fd }) => {
    descriptor = fd
    throw new RangeError('by the user')
  })
  await expect(failure).rejects.toThrow(RangeError)
  expect(() => readFileSync(descriptor)).toThrow(/EBADF/)
})
