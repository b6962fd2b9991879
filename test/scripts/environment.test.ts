// Environment variables in the forms in which people set them.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cxx, findNvcc } from '../../scripts/setup/compilers.mjs'
import { isOn, pathVariable } from '../../scripts/setup/environment.mjs'
import { findLibtorch } from '../../scripts/setup/libtorch.mjs'
import { cacheFolder } from '../../scripts/setup/paths.mjs'
import { fakeLibtorch, fakePython, temporaryFolder, writeFile } from '../support/folders.js'

test.each([
  ['/opt/lib', '/opt/lib'],
  ['/opt/lib/', '/opt/lib'],
  ['"/opt/a b"', '/opt/a b'],
  ["'/opt/lib'", '/opt/lib'],
  ['/opt/lib\r', '/opt/lib'],
  ['opt/lib', join(process.cwd(), 'opt/lib')],
  ['./opt/../lib', join(process.cwd(), 'lib')],
  ['', undefined],
  [' ', undefined],
  [undefined, undefined],
])('a path given as %j is %s', (value, expected) => {
  expect(pathVariable('X', { X: value })).toBe(expected)
})

test.each(['1', 'true', 'TRUE', 'yes', 'on', '"1"', ' 1 '])('%j is yes', (value) => {
  expect(isOn('X', { X: value })).toBe(true)
})

test.each([undefined, '', '0', 'false', 'No', 'off'])('%j is no', (value) => {
  expect(isOn('X', { X: value })).toBe(false)
})

test.each(['2', 'ja', '/opt/lib'])('%j is neither, and refused', (X) => {
  expect(() => isOn('X', { X })).toThrow(
    `X: expected 1, true, yes or on, or 0, false, no or off, but received '${X}'`,
  )
})

test('LIBTORCH in quotes; LIBTORCH_USE_PYTORCH as a word', async () => {
  const home = temporaryFolder()
  const path = fakeLibtorch(join(home, 'a b'))
  const python = fakeLibtorch(join(home, 'torch'))
  const env = { HOME: home, PATH: fakePython(join(home, 'bin'), python), LIBTORCH: `"${path}/"` }
  expect((await findLibtorch(env)).libtorch?.path).toBe(path)
  const words = { ...env, LIBTORCH_USE_PYTORCH: 'true' }
  expect((await findLibtorch(words)).libtorch?.path).toBe(python)
  const off = { ...env, LIBTORCH_USE_PYTORCH: 'no' }
  expect((await findLibtorch(off)).libtorch?.path).toBe(path)
})

test('MCLOSS_BYPASS_VERSION_CHECK as a word', async () => {
  const LIBTORCH = fakeLibtorch(temporaryFolder(), '2.4.0')
  const env = { LIBTORCH, MCLOSS_BYPASS_VERSION_CHECK: 'yes' }
  expect((await findLibtorch(env)).libtorch?.version).toBe('2.4.0')
})

test.each([
  ['/var/cache', '/var/cache/mcloss'],
  ['"/var/cache"', '/var/cache/mcloss'],
  ['', '/home/me/.cache/mcloss'],
  // The XDG specification: relative paths are invalid and ignored.
  ['cache', '/home/me/.cache/mcloss'],
])('XDG_CACHE_HOME=%s', (XDG_CACHE_HOME, expected) => {
  expect(cacheFolder({ HOME: '/home/me', XDG_CACHE_HOME })).toBe(expected)
})

test('CXX as CMake reads it: a program that may have a space in its path, or one with arguments', () => {
  const program = join(temporaryFolder(), 'my g++')
  writeFile(program)
  expect(cxx({ CXX: program })).toEqual([program])
  expect(cxx({ CXX: 'ccache g++ -m64' })).toEqual(['ccache', 'g++', '-m64'])
  expect(cxx({ CXX: '' })).toEqual(['c++'])
})

test('CUDACXX names nvcc; an empty one does not', () => {
  const folder = temporaryFolder()
  writeFile(join(folder, 'nvcc'))
  expect(findNvcc({ PATH: folder, CUDACXX: '/opt/cuda/bin/nvcc' })).toBe('/opt/cuda/bin/nvcc')
  expect(findNvcc({ PATH: folder, CUDACXX: '' })).toBe(join(folder, 'nvcc'))
})
