// What model.weights means: a file first, then a name that was fetched.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { McLossError } from '../../../lib/errors.js'
import { weightsFile, weightsFolder } from '../../../lib/weights/cache.js'
import { temporaryFolder } from '../../support/folders.js'
import { closed } from '../../support/other-user.js'

const name = 'resnet50.tv_in1k'
let folder: string

beforeEach(() => {
  folder = temporaryFolder()
  vi.stubEnv('MCLOSS_WEIGHTS_DIR', folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

function refusal(nameOrPath: string): McLossError {
  try {
    weightsFile(nameOrPath)
  } catch (error) {
    if (error instanceof McLossError) return error
  }
  throw new Error('it was taken')
}

test('a name is its fetched file; before that the error has the command', () => {
  expect(refusal(name).message).toContain(`mcloss weights fetch ${name}`)
  const path = join(folder, `${name}.pth`)
  writeFileSync(path, '')
  expect(weightsFile(name)).toMatchObject({ path, record: { name, resize: 256 } })
})

test('a file of that name comes first', () => {
  const path = join(folder, name)
  mkdirSync(path)
  expect(weightsFile(path)).toEqual({ path })
})

test('a file that this user may not reach is not said to be missing', async () => {
  const path = join(folder, 'locked/own.pth')
  mkdirSync(join(folder, 'locked'))
  writeFileSync(path, '')
  await closed(join(folder, 'locked'), async () => {
    expect(refusal(path).message).toMatch(/own\.pth: permission denied \(EACCES\)/)
  })
})

test('neither: the names are listed, unless it is a path', () => {
  expect(refusal('resnet51').message).toContain('vgg16_bn.tv_in1k')
  expect(refusal('./resnet51.pth')).toMatchObject({ code: 'E_WEIGHTS' })
  expect(refusal('./resnet51.pth').message).not.toContain('vgg16_bn.tv_in1k')
})

test.each([
  [{ MCLOSS_WEIGHTS_DIR: '/w', XDG_CACHE_HOME: '/x', HOME: '/h' }, '/w'],
  [{ XDG_CACHE_HOME: '/x', HOME: '/h' }, '/x/mcloss/weights'],
  [{ HOME: '/h' }, '/h/.cache/mcloss/weights'],
  [{ MCLOSS_WEIGHTS_DIR: '"/w"' }, '/w'],
  [{ MCLOSS_WEIGHTS_DIR: 'w' }, resolve('w')],
  [{ XDG_CACHE_HOME: 'x', HOME: '/h' }, '/h/.cache/mcloss/weights'],
])('the folder of %j', (env, expected) => {
  expect(weightsFolder(env)).toBe(expected)
})
