// The command line where sharp's binary, the add-on or LibTorch is missing: what needs none of it
// works, and doctor says what is missing and what mends it.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../support/folders.js'
import { toyConfig } from '../../support/small-birds.js'

const root = join(import.meta.dirname, '../../..')
const cli = join(root, 'dist/cli/main.js')
const addon = process.env.MCLOSS_NATIVE ?? join(root, 'build/Release/mcloss.node')
const folder = temporaryFolder()

/** As npm leaves sharp with --omit=optional: its JavaScript without the packages of its binaries. */
const noSharp = join(folder, 'no-sharp.cjs')
writeFileSync(
  noSharp,
  `const Module = require('node:module')
  const resolve = Module._resolveFilename
  Module._resolveFilename = function (name, ...rest) {
    if (!/^@img\\/sharp-|sharp[^/]*\\.node$/.test(name)) return resolve.call(this, name, ...rest)
    throw Object.assign(new Error("Cannot find module '" + name + "'"), { code: 'MODULE_NOT_FOUND' })
  }`,
)

/** The add-on of a LibTorch that has been moved away since. */
const noLibtorch = join(folder, 'build/Release/mcloss.node')
mkdirSync(dirname(noLibtorch), { recursive: true })
const record = JSON.parse(readFileSync(join(addon, '../../libtorch.json'), 'utf8'))
const gone = `/${'x'.repeat(record.path.length - 1)}`
const bytes = readFileSync(addon).toString('latin1').replace(`${record.path}/lib`, `${gone}/lib`)
writeFileSync(noLibtorch, bytes, 'latin1')
writeFileSync(join(folder, 'build/libtorch.json'), JSON.stringify({ ...record, path: gone }))

const missing = {
  "sharp's binary": { NODE_OPTIONS: `--require=${noSharp}` },
  'the add-on': { MCLOSS_NATIVE: '/nowhere/mcloss.node' },
  LibTorch: { MCLOSS_NATIVE: noLibtorch },
}

function mcloss(env: Record<string, string>, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    cwd: folder,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test.each(Object.entries(missing))('without %s what needs none of it works', (_, env) => {
  expect(mcloss(env, '--version')).toMatchObject({ status: 0, stderr: '' })
  for (const args of [['--help'], ['train', '--help'], ['setup', '--help']]) {
    const { status, stdout, stderr } = mcloss(env, ...args)
    expect({ status, stderr }, args.join(' ')).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: mcloss/)
  }
})

test("without sharp's binary: groups works, doctor and what decodes name the command that mends it", () => {
  const env = missing["sharp's binary"]
  const groups = mcloss(env, 'groups', '--channels', '4', '--classes', '2')
  expect(groups).toMatchObject({ status: 0, stderr: '' })

  const command = 'npm install --include=optional --os=linux --cpu=x64 sharp'
  const diagnosed = mcloss(env, 'doctor')
  expect(diagnosed).toMatchObject({ status: 1, stderr: '' })
  expect(diagnosed.stdout).toMatch(/^images {7}does not load$/m)
  expect(diagnosed.stdout).toContain(command)
  expect(JSON.parse(mcloss(env, 'doctor', '--json').stdout)).toMatchObject({
    ok: false,
    addon: { loaded: true },
    sharp: { error: expect.stringContaining(command) },
    tinyRun: { ok: true },
  })

  const config = join(folder, 'config.json')
  writeFileSync(config, JSON.stringify(toyConfig(folder)))
  const trained = mcloss(env, 'train', config)
  expect(trained.status).toBe(1)
  expect(trained.stderr).toContain(command)
  expect(trained.stderr).not.toMatch(/^ +at /m)
})

test.each(['the add-on', 'LibTorch'] as const)('without %s doctor says how to mend it', (what) => {
  const { status, stdout, stderr } = mcloss(missing[what], 'doctor')
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
  expect(stdout).toMatch(/^images {7}sharp \d/m)
  expect(stdout).toMatch(/could not be loaded[\s\S]*npx mcloss setup/)
  if (what === 'LibTorch') expect(stdout).toContain(`${gone}, from `)
  if (what === 'LibTorch') expect(stdout).toContain('nothing is there (ENOENT): npx mcloss setup')

  const groups = mcloss(missing[what], 'groups', '--channels', '4', '--classes', '2')
  expect(groups).toMatchObject({ status: 1, stdout: '' })
  expect(groups.stderr).toMatch(/^mcloss: the native add-on could not be loaded/)
  expect(groups.stderr).not.toMatch(/^ +at /m)
})
