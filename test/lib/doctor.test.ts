// What doctor reports with and without an add-on that loads.

import { execFileSync } from 'node:child_process'
import { join, relative } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { doctor } from '../../lib/doctor.js'

const given = process.env.MCLOSS_NATIVE

afterAll(() => {
  if (given === undefined) delete process.env.MCLOSS_NATIVE
  else process.env.MCLOSS_NATIVE = given
})

// First: an add-on that loaded once stays loaded.
test('an add-on that cannot be loaded is reported, not thrown', async () => {
  process.env.MCLOSS_NATIVE = '/nowhere/mcloss.node'
  const report = await doctor()
  expect(report).toMatchObject({
    ok: false,
    addon: { path: '/nowhere/mcloss.node', loaded: false },
    buildInfo: null,
    cuda: { deviceCount: 0, fault: null },
    tinyRun: { ok: false },
  })
})

test('MCLOSS_NATIVE may be relative, in quotes, with a slash behind it', async () => {
  const addon = given ?? join(import.meta.dirname, '../../build/Release/mcloss.node')
  process.env.MCLOSS_NATIVE = `"${relative(process.cwd(), addon)}/"`
  expect((await doctor()).addon).toEqual({ path: addon, loaded: true })
})

test('the built add-on loads and computes the loss of a map worked out by hand', async () => {
  if (given === undefined) delete process.env.MCLOSS_NATIVE
  else process.env.MCLOSS_NATIVE = given
  const report = await doctor()
  expect(report.tinyRun).toMatchObject({ ok: true })
  expect(report.ok).toBe(true)
  expect(report.buildInfo?.libtorch).toMatch(/^2\.\d+/)
  expect(report.node).toBe(process.version)
  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
})

test.each([
  [undefined, '1'],
  ['0', '0'],
])(
  'loading asks for huge pages, unless the user has set THP_MEM_ALLOC_ENABLE: %s -> %s',
  (user, expected) => {
    const { THP_MEM_ALLOC_ENABLE: _, ...env } = process.env
    if (user !== undefined) env.THP_MEM_ALLOC_ENABLE = user
    const addon = given ?? join(import.meta.dirname, '../../build/Release/mcloss.node')
    const program = `require(process.argv[1]); console.log(process.env.THP_MEM_ALLOC_ENABLE)`
    const output = execFileSync(process.execPath, ['-e', program, addon], { env, encoding: 'utf8' })
    expect(output.trim()).toBe(expected)
  },
)
