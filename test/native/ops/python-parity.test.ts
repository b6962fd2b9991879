// libmcloss_ops.so in Python (test/native/ops/ops_parity.py): the operators against the formulas in
// torch. Runs where a Python has the torch of the LibTorch in use, else says why not.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { findPython } from '../../support/python-with-torch.js'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..', '..')
const library = join(root, 'build', 'Release', 'libmcloss_ops.so')
const script = join(root, 'test', 'native', 'ops', 'ops_parity.py')

const { python, why, skipped } = await findPython()

test.skipIf(skipped)(`the operators in Python${skipped ? ` (${why})` : ''}`, async () => {
  if (python === undefined) throw new Error(why)
  expect(existsSync(library), `${library} is built`).toBe(true)
  const { stdout } = await run(python, [script, library])
  expect(stdout).toMatch(/^[1-9]\d* checks$/m)
})
