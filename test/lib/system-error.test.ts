// Advice by what the operating system says: only a full disk is told to be freed.

import { appendFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { expect, test } from 'vitest'
import { systemCodeOf, writeAdviceFor } from '../../lib/system-error.js'

test('of all errors only a full disk and a full quota ask for space', () => {
  const asking = Object.entries(constants.errno)
    .filter(([, errno]) => /space/.test(writeAdviceFor({ errno: -errno })))
    .map(([name]) => name)
  expect(asking.sort()).toEqual(['EDQUOT', 'ENOSPC'])
  for (const other of [new Error('space'), undefined, 'ENOSPC', new Error('File too large')]) {
    expect(writeAdviceFor(other)).not.toMatch(/space/)
  }
})

test('a real full disk, errors that Node has no name for, and words of the add-on', async () => {
  const full = await appendFile('/dev/full', 'x').catch((error) => error)
  expect(systemCodeOf(full)).toBe('ENOSPC')
  expect(writeAdviceFor(full)).toBe('Free some space')
  expect(systemCodeOf({ errno: -122, code: 'Unknown system error -122' })).toBe('EDQUOT')
  expect(systemCodeOf({ errno: -116, code: 'Unknown system error -116' })).toBe('ESTALE')
  expect(systemCodeOf(new Error('cannot write x: No space left on device'))).toBe('ENOSPC')
  expect(writeAdviceFor(new Error('cannot write x: Read-only file system'))).toMatch(/may write/)
  expect(systemCodeOf(new Error('No space left on device, it was said'))).toBe(undefined)
})
