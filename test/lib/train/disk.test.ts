// What a disk can do is tried before work starts: what a run can do without is a warning, the rest is
// refused with the advice that fits.

import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { replaceLink, tryDisk } from '../../../lib/train/disk.js'
import { onBrokenDisk, refusal, withoutLinks } from '../../support/broken-disk.js'

const temporary = () => mkdtempSync(join(tmpdir(), 'mcloss-test-'))

/** Opening a folder and flushing it ends in `code`. */
const flushingFolders = (code: 'EINVAL' | 'EIO') => ({
  open: (path: string) => {
    if (!existsSync(path) || !statSync(path).isDirectory()) return undefined
    return { sync: () => Promise.reject(refusal(code, 'fsync')), close: async () => {} }
  },
})

test('a whole disk takes everything; nothing of the trial stays', async () => {
  const folder = join(temporary(), 'made', 'here')
  expect(await tryDisk(folder)).toEqual([])
  expect(readdirSync(folder)).toEqual([])
})

test('no symbolic links, no flushing of folders: a warning each, before work starts', async () => {
  const folder = temporary()
  const broken = { ...withoutLinks, ...flushingFolders('EINVAL') }
  expect(await onBrokenDisk(broken, () => tryDisk(folder))).toEqual([
    expect.stringMatching(/takes no symbolic links.*small files/),
    expect.stringMatching(/cannot flush folders.*power cut/),
  ])
  expect(readdirSync(folder)).toEqual([])
})

test.each([
  ['rename over what is there', 'rename', 'EPERM', /not allow it.*Use another disk/],
  ['a new folder', 'mkdir', 'EROFS', /mount it for writing/],
  ['a new folder', 'mkdir', 'EACCES', /Give this user the right/],
  ['a file', 'open', 'ENOSPC', /Free some space/],
  ['a file', 'open', 'EDQUOT', /Free some space/],
  ['a file', 'open', 'EIO', /the disk reports a fault/],
] as const)('%s (%s: %s) is refused with its advice', async (_, operation, code, advice) => {
  const folder = temporary()
  const broken = {
    [operation]: () => {
      throw refusal(code)
    },
  }
  const error = await onBrokenDisk(broken, () => tryDisk(folder)).catch((reason) => reason)
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringMatching(advice) })
  expect(error.message).toContain(folder)
  if (!['ENOSPC', 'EDQUOT'].includes(code)) expect(error.message).not.toMatch(/space/)
  expect(readdirSync(folder)).toEqual([])
})

test('a folder whose flushing fails on a sick disk is refused', async () => {
  const trial = onBrokenDisk(flushingFolders('EIO'), () => tryDisk(temporary()))
  await expect(trial).rejects.toMatchObject({
    message: expect.stringMatching(/the disk reports a fault/),
  })
})

test('a link is replaced in one step, by a link or by a file, and back', async () => {
  const path = join(temporary(), 'last')
  expect(await replaceLink(path, 'a')).toBe('link')
  expect(await onBrokenDisk(withoutLinks, () => replaceLink(path, 'b'))).toBe('file')
  expect(readFileSync(path, 'utf8')).toBe('b\n')
  expect(await onBrokenDisk(withoutLinks, () => replaceLink(path, 'c'))).toBe('file')
  expect(readFileSync(path, 'utf8')).toBe('c\n')
  expect(await replaceLink(path, 'd')).toBe('link')
  expect(lstatSync(path).isSymbolicLink()).toBe(true)
})
