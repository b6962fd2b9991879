// Which error of the system it was, also where Node has no name for it or has none at all.

import { appendFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { systemCodeOf, systemReason } from '../../../lib/files/system-errors.js'

test('a real full disk, errors that Node has no name for, and words of the add-on', async () => {
  const full = await appendFile('/dev/full', 'x').catch((error) => error)
  expect(systemCodeOf(full)).toBe('ENOSPC')
  expect(systemReason(full)).toBe('the disk is full (ENOSPC). Free some space.')
  expect(systemCodeOf({ errno: -122, code: 'Unknown system error -122' })).toBe('EDQUOT')
  expect(systemCodeOf({ errno: -116, code: 'Unknown system error -116' })).toBe('ESTALE')
  expect(systemCodeOf(new Error('cannot write x: No space left on device'))).toBe('ENOSPC')
  expect(systemReason(new Error('cannot write x: Read-only file system'))).toMatch(/for writing/)
  for (const other of [new Error('No space left on device, it was said'), undefined, 'ENOSPC']) {
    expect(systemCodeOf(other)).toBe(undefined)
    expect(systemReason(other)).not.toMatch(/Free some/)
  }
})
