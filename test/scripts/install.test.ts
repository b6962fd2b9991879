// npm's install hook and `mcloss setup` as programs, where there is no LibTorch to build with.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fakeLibtorch, fakePython, temporaryFolder } from '../support/folders.js'

function run(script: string, args: string[] = [], variables: Record<string, string> = {}) {
  const home = temporaryFolder()
  const env = { HOME: home, PATH: fakePython(join(home, 'bin')), ...variables }
  const program = join(import.meta.dirname, '../../scripts/setup', script)
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    env,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('install without LibTorch: one paragraph, success', () => {
  const { status, stdout, stderr } = run('install.mjs')
  expect(stderr).toBe('')
  expect(status).toBe(0)
  expect(stdout.trim().split('\n\n')).toHaveLength(1)
  expect(stdout).toMatch(/no LibTorch was found[\s\S]*npx mcloss setup --fetch/)
})

test('install with MCLOSS_SKIP_BUILD=1: one line, success, LibTorch or not', () => {
  const { status, stdout } = run('install.mjs', [], {
    MCLOSS_SKIP_BUILD: '1',
    LIBTORCH: '/nowhere',
  })
  expect(status).toBe(0)
  expect(stdout.trim().split('\n')).toHaveLength(1)
})

test('install with a wrong LIBTORCH fails and names it', () => {
  const { status, stderr } = run('install.mjs', [], { LIBTORCH: '/nowhere/libtorch' })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^mcloss: LIBTORCH names \/nowhere\/libtorch/)
})

test('install with LibTorch but without a compiler fails and says what is missing', () => {
  const LIBTORCH = fakeLibtorch(temporaryFolder(), '2.99.0')
  const { status, stderr } = run('install.mjs', [], { LIBTORCH })
  expect(status).toBe(1)
  expect(stderr).toMatch(/not found: cmake, c\+\+/)
})

test('setup without LibTorch fails with numbered remedies', () => {
  const { status, stderr } = run('setup.mjs')
  expect(status).toBe(1)
  expect(stderr).toMatch(/no LibTorch was found[\s\S]*1\. npx mcloss setup --fetch[\s\S]*2\. /)
})

test.each([
  [['--fecth'], /--fecth/],
  [['--fetch', '--libtorch', '/x'], /exclude each other/],
  [['extra'], /extra/],
])('setup %j is bad usage', (args, reason) => {
  const { status, stderr } = run('setup.mjs', args)
  expect(status).toBe(2)
  expect(stderr).toMatch(reason)
  expect(stderr).toContain('Usage: mcloss setup')
})
