// libmcloss_ops.so in Python (test/native/ops/ops_parity.py): the operators against the formulas in
// torch. Runs where a Python has the torch of the LibTorch in use, else says why not.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..', '..')
const library = join(root, 'build', 'Release', 'libmcloss_ops.so')
const script = join(import.meta.dirname, 'ops_parity.py')
const libtorch: { path: string; version: string } = JSON.parse(
  readFileSync(join(root, 'build', 'libtorch.json'), 'utf8'),
)

/** Nothing, or why this Python cannot load the library. */
async function unfit(python: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(python, ['-c', 'import torch; print(torch.__version__)'])
    if (stdout.trim() === libtorch.version) return undefined
    return `${python} has torch ${stdout.trim()}, not ${libtorch.version}`
  } catch (error) {
    const { code, stderr, message } = error as Error & { code?: unknown; stderr?: string }
    if (code === 'ENOENT') return `${python} is not there`
    return `${python}: ${stderr?.trim().split('\n').at(-1) || message}`
  }
}

/** A Python that can, or what was wrong with each. MCLOSS_PYTHON is taken or refused. */
async function findPython(): Promise<{ python?: string; why: string }> {
  const named = process.env.MCLOSS_PYTHON
  // <prefix>/lib/python3.x/site-packages/torch: its own Python is <prefix>/bin/python3.
  const beside = /^(.*)\/lib\/python[\d.]+\/(?:site|dist)-packages\/torch$/.exec(libtorch.path)?.[1]
  const found = [...(beside ? [`${beside}/bin/python3`] : []), 'python3']
  const reasons: string[] = []
  for (const python of named ? [named] : found) {
    const reason = await unfit(python)
    if (!reason) return { python, why: '' }
    reasons.push(reason)
  }
  return { why: `${named ? 'MCLOSS_PYTHON: ' : ''}${reasons.join('; ')}` }
}

const { python, why } = await findPython()
const skipped = python === undefined && !process.env.MCLOSS_PYTHON

test.skipIf(skipped)(`the operators in Python${skipped ? ` (${why})` : ''}`, async () => {
  if (python === undefined) throw new Error(why)
  expect(existsSync(library), `${library} is built`).toBe(true)
  const { stdout } = await run(python, [script, library])
  expect(stdout).toMatch(/^[1-9]\d* checks$/m)
})
