// What the system's errors mean: each has its own words and advice, and one alone means missing.

import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemFault, systemReason, unlessMissing } from '../../../lib/files/system-errors.js'
import { closed } from '../../support/other-user.js'
import { tree } from '../../support/tree.js'

const codes = Object.keys(constants.errno)
const errorOf = (code: string, path = '/data') =>
  Object.assign(new Error(`${code}: words, stat '${path}'`), { code, path, syscall: 'stat' })

test.each([
  ['EACCES', /^permission denied \(EACCES\)\. Give this user the right/],
  ['ELOOP', /^its links lead in a circle \(ELOOP\)\. /],
  ['ENAMETOOLONG', /too long \(ENAMETOOLONG\)\. Shorten/],
  ['ESTALE', /^the file server .* \(ESTALE\)\. Mount/],
  ['EIO', /^the disk reports a fault \(EIO\)\. Copy/],
  ['ENOTDIR', /no folder \(ENOTDIR\)\. /],
  ['EMFILE', /too many files open \(EMFILE\)\. .*ulimit/],
  ['EFBIG', /\(EFBIG\)\. Raise the limit \(ulimit -f unlimited\)/],
  ['ENOSPC', /^the disk is full \(ENOSPC\)\. Free/],
  ['EROFS', /^the disk can only be read \(EROFS\)\. /],
  ['EDQUOT', /share of the disk.*\(EDQUOT\)\. /],
  ['ENOENT', /^nothing is there \(ENOENT\)\. Look elsewhere\.$/],
])('%s', (code, words) => {
  expect(codes).toContain(code)
  expect(systemReason(errorOf(code), 'Look elsewhere.')).toMatch(words)
})

test.each([
  ['/here/https:/example.org/a.jpg', /A URL \(https:\) is no path/],
  ['file:///data/a.jpg', /A URL \(file:\) is no path/],
  ['/here/~/data', /Only a shell/],
  ['/here/$HOME/data', /Only a shell/],
  [`/here/${'$'}{DATA}`, /Only a shell/],
  ['/here/a~b/$', /^nothing is there \(ENOENT\)\. Look elsewhere\.$/],
])('what a shell or a browser would have made a path of: %s', (path, words) => {
  expect(systemReason(errorOf('ENOENT', path), 'Look elsewhere.')).toMatch(words)
})

test('only a missing file is advised as one, and only a full disk to free space', () => {
  const advised = (words: RegExp) =>
    codes.filter((code) => words.test(systemReason(errorOf(code), 'Look elsewhere.')))
  expect(advised(/Look elsewhere|nothing is there/)).toEqual(['ENOENT'])
  expect(advised(/Free some space/).sort()).toEqual(['EDQUOT', 'ENOSPC'])
})

test('an error without a meaning here keeps its own words', () => {
  expect(systemFault(errorOf('EPROTO'))).toBe("EPROTO: words, stat '/data'")
  expect(systemFault(new Error('other'))).toBe('other')
  expect(systemReason('thrown')).toBe('thrown.')
})

test('a name that Node has changed on reading is said to be one', () => {
  expect(systemReason(errorOf('ENOENT', '/data/K\ufffdlte'))).toMatch(/not UTF-8: rename/)
  expect(systemReason(errorOf('ENOENT', '/data/Kälte'))).not.toMatch(/UTF-8/)
})

test('real errors: nothing there is undefined, the rest is thrown with its code', async () => {
  const root = await tree({ 'locked/file': 'x', file: 'x' })
  symlinkSync('loop', join(root, 'loop'))
  const at = (path: string) => unlessMissing(stat(join(root, path)), 'E_IO', 'reader: it')
  expect(await at('none')).toBeUndefined()
  expect(await at('file/below')).toBeUndefined()
  expect((await at('file'))?.size).toBe(1)
  const refused = (code: string) => ({ code: 'E_IO', message: expect.stringContaining(code) })
  await expect(at('loop')).rejects.toMatchObject(refused('reader: it: its links'))
  await expect(at('a'.repeat(300))).rejects.toMatchObject(refused('ENAMETOOLONG'))
  const locked = () => expect(at('locked/file')).rejects.toMatchObject(refused('permission denied'))
  await closed(join(root, 'locked'), locked)
  writeFileSync(join(root, 'locked/file'), 'y') // open again
  expect(await readFile(join(root, 'locked/file'), 'utf8')).toBe('y')
  rmSync(join(root, 'loop'))
})
