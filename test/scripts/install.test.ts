// npm's install hook and `mcloss setup` as programs, where there is no LibTorch to build with.

import { spawnSync } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { fakeLibtorch, fakePython, temporaryFolder, writeFile } from '../support/folders.js'

const scripts = join(import.meta.dirname, '../../scripts/setup')

function run(script: string, args: string[] = [], variables: Record<string, string> = {}) {
  const home = temporaryFolder()
  const env = { HOME: home, PATH: fakePython(join(home, 'bin')), ...variables }
  const program = resolve(scripts, script)
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

test('install in a clone that was built with variables of its own builds nothing', async () => {
  const clone = temporaryFolder()
  const copied = join(clone, 'scripts/setup')
  cpSync(scripts, copied, { recursive: true })
  cpSync(join(scripts, '../../package.json'), join(clone, 'package.json'))
  writeFile(join(clone, 'build/Release/mcloss.node'))
  const LIBTORCH = fakeLibtorch(temporaryFolder(), '2.99.0')
  const { hashOf, packageJson } = await import(join(copied, 'paths.mjs'))
  const { libtorchAt } = await import(join(copied, 'libtorch.mjs'))
  const record = {
    ...libtorchAt(LIBTORCH, 'LIBTORCH'),
    nvcc: null,
    mcloss: packageJson.version,
    inputs: hashOf(['native', 'CMakeLists.txt']),
    defines: { MCLOSS_STRICT: 'ON' },
  }
  writeFile(join(clone, 'build/libtorch.json'), JSON.stringify(record))
  const { status, stdout } = run(join(copied, 'install.mjs'), [], { LIBTORCH })
  expect(stdout).toContain('nothing to build')
  expect(status).toBe(0)
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

test.each([
  ['a file', 'file', 'ENOTDIR: not a directory', 'A part of this path is a file'],
  ['a file above it', 'file/below', 'ENOTDIR: not a directory', 'A part of this path is a file'],
  ['a link to itself', 'loop', 'ELOOP: ', 'Links lead in a circle'],
  ['too long a name', 'x'.repeat(300), 'ENAMETOOLONG: ', 'Name a shorter folder'],
])(
  'setup --fetch where the cache is %s: one sentence, what to do, no stack',
  (_, name, what, next) => {
    const folder = temporaryFolder()
    writeFile(join(folder, 'file'))
    symlinkSync(join(folder, 'loop'), join(folder, 'loop'))
    const cache = join(folder, name)
    const { status, stderr } = run('setup.mjs', ['--fetch'], { XDG_CACHE_HOME: cache })
    expect(status).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(new RegExp(`^mcloss: ${what}`))
    expect(stderr).toContain(cache)
    expect(stderr).toContain(next)
  },
)

test('bad usage of a script is one line and code 2', () => {
  const { status, stderr } = run('build.mjs', ['--fecth'])
  expect(status).toBe(2)
  expect(stderr).toMatch(/^Unknown option '--fecth'.*\n$/)
})

test('a script that is called by a link runs', () => {
  const link = join(temporaryFolder(), 'setup')
  symlinkSync(scripts, link)
  const { status, stdout } = spawnSync(process.execPath, [join(link, 'setup.mjs'), '--help'], {
    encoding: 'utf8',
  })
  expect(status).toBe(0)
  expect(stdout).toMatch(/^Usage: mcloss setup/)
})

test('install: a relative LIBTORCH is from where npm was called', () => {
  const folder = temporaryFolder()
  fakeLibtorch(join(folder, 'libtorch'), '2.99.0')
  const { stderr } = run('install.mjs', [], { LIBTORCH: './libtorch', INIT_CWD: folder })
  expect(stderr).toMatch(/not found: cmake, c\+\+/)
})

test('setup: CXX with arguments is a compiler that is there', () => {
  const folder = temporaryFolder()
  const LIBTORCH = fakeLibtorch(join(folder, 'libtorch'), '2.99.0')
  const { stderr } = run('setup.mjs', [], { LIBTORCH, CXX: `${process.execPath} --no-warnings` })
  expect(stderr).toMatch(/not found: cmake\. /)
})
