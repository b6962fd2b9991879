// Which LibTorch is loaded: the one that the add-on was built with, whatever LD_LIBRARY_PATH says; and
// doctor names what LD_PRELOAD puts in its place.

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../support/folders.js'

const root = join(import.meta.dirname, '../..')
const cli = join(root, 'dist/cli/main.js')
const addon = process.env.MCLOSS_NATIVE ?? join(root, 'build/Release/mcloss.node')
const built = JSON.parse(readFileSync(join(addon, '../../libtorch.json'), 'utf8')).path
const ownC10 = join(built, 'lib/libc10.so')

function doctor(env: Record<string, string>, ...args: string[]) {
  return spawnSync(process.execPath, [cli, 'doctor', ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
}

/** ELF, 64 bits: `from`, an entry of the dynamic section by its tag, becomes `to`. */
function withTag(elf: Buffer, from: bigint, to: bigint): Buffer {
  const changed = Buffer.from(elf)
  const [table, size, count] = [elf.readBigUInt64LE(32), elf.readUInt16LE(54), elf.readUInt16LE(56)]
  for (let segment = 0; segment < count; segment++) {
    const header = Number(table) + segment * size
    if (elf.readUInt32LE(header) !== 2) continue // PT_DYNAMIC
    const begin = Number(elf.readBigUInt64LE(header + 8))
    const end = begin + Number(elf.readBigUInt64LE(header + 32))
    for (let entry = begin; entry < end; entry += 16) {
      if (elf.readBigUInt64LE(entry) === from) changed.writeBigUInt64LE(to, entry)
    }
  }
  return changed
}

/** A folder with a libc10.so: LibTorch's own, or another library under its name. */
function folderWithC10(kind: 'its own' | 'another'): string {
  const folder = temporaryFolder()
  const libm = /\S+\/libm\.so\S*/.exec(readFileSync('/proc/self/maps', 'utf8'))?.[0] ?? ''
  copyFileSync(kind === 'its own' ? ownC10 : libm, join(folder, 'libc10.so'))
  return folder
}

test.each(['its own', 'another'] as const)(
  "LD_LIBRARY_PATH with %s libc10.so: the add-on's own LibTorch is loaded all the same",
  (kind) => {
    const { stdout } = doctor({ LD_LIBRARY_PATH: folderWithC10(kind) }, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      addon: { loaded: true },
      libtorch: { path: built },
      replaced: [],
    })
  },
)

test('doctor names the library that LD_PRELOAD puts in the place of one of LibTorch', () => {
  const preloaded = join(folderWithC10('its own'), 'libc10.so')
  const { stdout } = doctor({ LD_PRELOAD: preloaded }, '--json')
  const replaced = { path: preloaded, expected: ownC10, by: 'LD_PRELOAD' }
  expect(JSON.parse(stdout).replaced).toEqual([replaced])
  expect(doctor({ LD_PRELOAD: preloaded }).stdout).toContain(
    `${ownC10} by ${preloaded}, named by LD_PRELOAD`,
  )
})

test('doctor names LD_LIBRARY_PATH where it brings a library that an add-on without a path takes', () => {
  // As linkers write it by default: with DT_RUNPATH (29), which comes after LD_LIBRARY_PATH.
  const path = join(temporaryFolder(), 'build/Release/mcloss.node')
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, withTag(readFileSync(addon), 15n, 29n))
  copyFileSync(join(addon, '../../libtorch.json'), join(path, '../../libtorch.json'))

  const other = folderWithC10('its own')
  const env = { MCLOSS_NATIVE: path, LD_LIBRARY_PATH: other }
  const report = JSON.parse(doctor(env, '--json').stdout)
  expect(report.replaced).toContainEqual({
    path: join(other, 'libc10.so'),
    expected: ownC10,
    by: 'LD_LIBRARY_PATH',
  })

  const failed = doctor({ ...env, LD_LIBRARY_PATH: folderWithC10('another') })
  expect(failed.status).toBe(1)
  expect(failed.stdout).toMatch(/does not load[\s\S]*unset LD_LIBRARY_PATH/)
  expect(failed.stdout).not.toContain('unset LD_PRELOAD')
})
