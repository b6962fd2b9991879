// Event files: their bytes are those that TensorBoard's own reader has been asked about.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { crc32c } from '../../../lib/records/crc32c.js'
import { headRecords, scalarsRecord } from '../../../lib/records/event-file.js'
import { eventReader, readEvents } from '../../support/event-reader.js'
import { temporaryFolder } from '../../support/small-birds.js'

test("CRC-32C: RFC 3720's examples, and the check value of the digits", () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
  expect(crc32c(Buffer.alloc(0))).toBe(0)
})

/** Two starts of a run: the second goes on after step 2 ** 40, and what the first wrote later is gone. */
const large = 2 ** 40
const longName = `${'long/'.repeat(40)}ä`
const files = {
  'events.out.tfevents.0000000001.mcloss': Buffer.concat([
    headRecords(1.5, 1),
    scalarsRecord({
      wallTime: 2.25,
      step: 10,
      values: [
        ['train/loss', 0.5],
        ['lr', 0.125],
      ],
    }),
    scalarsRecord({
      wallTime: 3,
      step: large,
      values: [
        ['train/loss', -3],
        [longName, 1],
      ],
    }),
    scalarsRecord({ wallTime: 4, step: large + 1, values: [['train/loss', 9]] }),
  ]),
  'events.out.tfevents.0000000002.mcloss': Buffer.concat([
    headRecords(5, large + 1),
    scalarsRecord({ wallTime: 6, step: large + 2, values: [['train/loss', 0.25]] }),
  ]),
}
const verdict = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/tensorboard/expected.json'), 'utf8'),
)

test('the bytes are those of the stored verdict, which has the curves', () => {
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const hashes = Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)])
  expect(Object.fromEntries(hashes)).toEqual(verdict.files)
  expect(verdict.curves).toEqual({
    lr: [[10, 0.125]],
    [longName]: [[large, 1]],
    'train/loss': [
      [10, 0.5],
      [large, -3],
      [large + 2, 0.25],
    ],
  })
})

test.skipIf(eventReader.skipped)("TensorBoard's own reader gives that verdict", () => {
  expect(eventReader.why).toBe('')
  const folder = join(temporaryFolder(), 'events')
  mkdirSync(folder)
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
  expect(readEvents(folder)).toEqual(verdict)
})
