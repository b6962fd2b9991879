// A run that diverges, as a user of the command line meets it. Runs dist/cli/main.js itself.

import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
const folder = temporaryFolder()

test('train ends with exit code 1 and says why; nothing of the run is best', () => {
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify({ ...toyConfig(folder), name: 'fast' }))
  const args = ['train', file, '--optim.lr', '1e18', '--optim.epochs', '4']
  const { status, stdout, stderr } = spawnSync(cli, args, { cwd: folder, encoding: 'utf8' })
  expect(stderr).toMatch(
    /^train: stopped at step \d+ \(from 0\): the last 3 steps were skipped.*optim\.lr/,
  )
  expect(status).toBe(1)
  expect(stdout).toMatch(/^warning: train: step \d+ \(from 0\) was skipped: .*birds.*\.jpg/m)
  expect(stdout).not.toMatch(/^epoch.*NaN/m)
  expect(existsSync(join(folder, 'runs', 'fast', 'best'))).toBe(false)
})
