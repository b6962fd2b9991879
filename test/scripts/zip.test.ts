// The zip reader against archives of Python's zipfile, and archives made to do harm.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { unzip } from '../../scripts/setup/zip.mjs'
import { temporaryFolder } from '../support/folders.js'
import { makeZip, type ZipEntry } from '../support/zip-writer.js'

const fixtures = join(import.meta.dirname, '../fixtures/install')

test("unpacks what Python's zipfile packed: stored, deflated, zip64, empty, UTF-8 names", async () => {
  const target = temporaryFolder()
  const digests = JSON.parse(readFileSync(join(fixtures, 'python.json'), 'utf8'))
  const count = await unzip(join(fixtures, 'python.zip'), target, (name) => name)
  expect(count).toBe(Object.keys(digests).length)
  for (const [name, digest] of Object.entries(digests)) {
    const content = readFileSync(join(target, name))
    expect(createHash('sha256').update(content).digest('hex'), name).toBe(digest)
  }
})

test('leaves out what is not placed', async () => {
  const target = temporaryFolder()
  const place = (name: string) => (name === 'stored.bin' ? 'renamed' : undefined)
  await unzip(join(fixtures, 'python.zip'), target, place)
  expect(readdirSync(target)).toEqual(['renamed'])
})

async function unpack(bytes: Buffer, limit?: number) {
  const folder = temporaryFolder()
  const target = join(folder, 'in/target')
  mkdirSync(target, { recursive: true })
  writeFileSync(join(folder, 'in/a.zip'), bytes)
  const options = limit === undefined ? {} : { limit }
  await unzip(join(folder, 'in/a.zip'), target, (name) => name, options).catch((error) => {
    // Nothing beside the target, whatever was tried.
    expect(readdirSync(folder)).toEqual(['in'])
    expect(readdirSync(join(folder, 'in')).sort()).toEqual(['a.zip', 'target'])
    throw error
  })
  return target
}

const good: ZipEntry = { name: 'a.txt', content: 'content' }

test.each<[string, ZipEntry, RegExp]>([
  ['an absolute name', { name: '/etc/a' }, /could leave/],
  ['.. in a name', { name: 'b/../../a' }, /could leave/],
  ['.. alone', { name: '..' }, /could leave/],
  ['a backslash', { name: '..\\a' }, /could leave/],
  ['a drive letter', { name: 'C:a' }, /could leave/],
  ['a NUL', { name: 'a\0b' }, /could leave/],
  ['an empty name', { name: '' }, /could leave/],
  ['a symbolic link', { name: 'link', content: '/etc', mode: 0o120777 }, /no regular file/],
  ['a device', { name: 'device', mode: 0o020666 }, /no regular file/],
  ['the same name twice', { ...good }, /twice/],
  ['an encrypted entry', { name: 'b', claims: { flags: 1 } }, /encrypted/],
  ['an unknown method', { name: 'b', method: 12 }, /method 12/],
])('refuses %s before anything is written', async (_, entry, reason) => {
  const seen: string[] = []
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'a.zip'), makeZip([good, entry]))
  const place = (name: string) => {
    seen.push(name)
    return name
  }
  await expect(unzip(join(folder, 'a.zip'), folder, place)).rejects.toThrow(reason)
  expect(seen).toEqual([])
  expect(existsSync(join(folder, 'a.txt'))).toBe(false)
})

test.each<[string, ZipEntry, RegExp]>([
  ['a wrong CRC', { name: 'b', content: 'text', claims: { crc: 1 } }, /CRC-32/],
  ['a wrong CRC of no bytes', { name: 'b', method: 0, claims: { crc: 1 } }, /CRC-32/],
  [
    'a bomb: more than it claims',
    { name: 'b', content: Buffer.alloc(5_000_000), claims: { size: 10 } },
    /b: too many bytes.* expected 10\./,
  ],
  [
    'less than it claims',
    { name: 'b', content: 'text', claims: { size: 5 } },
    /b: not enough bytes.* expected 5\. got only 4/,
  ],
  [
    'a wrong offset',
    { name: 'b', content: 'text', claims: { offset: 3 } },
    /b: invalid local file header/,
  ],
  ['an offset outside', { name: 'b', claims: { offset: 99_999 } }, /b: it is damaged or cut short/],
])('refuses %s', async (_, entry, reason) => {
  await expect(unpack(makeZip([good, entry]))).rejects.toThrow(reason)
})

test('refuses a stream that is not deflated data', async () => {
  const bytes = makeZip([{ name: 'b', content: Buffer.alloc(1000, 'x') }])
  bytes.fill(0xff, 31, 40)
  await expect(unpack(bytes)).rejects.toThrow(/b: invalid block type/)
})

test('refuses more than the limit in all, by what is claimed', async () => {
  const entries = [good, { name: 'b', content: Buffer.alloc(1000) }]
  await expect(unpack(makeZip(entries), 1000)).rejects.toThrow(/1007 bytes unpacked are more/)
  expect(existsSync(join(await unpack(makeZip(entries), 1007), 'b'))).toBe(true)
})

test('refuses an archive cut at any length', async () => {
  const whole = makeZip([good, { name: 'b', content: 'more', method: 0 }])
  for (let length = 0; length < whole.length; length++) {
    await expect(unpack(whole.subarray(0, length)), `${length} bytes`).rejects.toThrow(/is refused/)
  }
})

test('refuses a zip64 directory at an offset that no number holds', async () => {
  const bytes = readFileSync(join(fixtures, 'python.zip'))
  bytes.fill(0xff, bytes.length - 22 - 12, bytes.length - 22 - 4)
  await expect(unpack(bytes)).rejects.toThrow(/is refused: it is damaged or cut short/)
})
