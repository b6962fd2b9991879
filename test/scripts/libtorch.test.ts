// Which LibTorch is taken, in which order, and what is refused.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { findLibtorch, libtorchAt } from '../../scripts/setup/libtorch.mjs'
import { fakeLibtorch, fakePython, temporaryFolder, writeFile } from '../support/folders.js'
import { closed } from '../support/other-user.js'

let home: string
let env: Record<string, string>
const cacheOf = (folder: string) => join(folder, '.cache/mcloss/libtorch-2.13.0+cpu')

beforeEach(() => {
  home = temporaryFolder()
  env = { HOME: home, PATH: fakePython(join(home, 'bin')) }
})

describe('order', () => {
  test('LIBTORCH, then the torch of python3, then the cache, then none', async () => {
    env.LIBTORCH = fakeLibtorch(join(home, 'named'))
    env.PATH = fakePython(join(home, 'bin'), fakeLibtorch(join(home, 'site/torch'), '2.12.1'))
    fakeLibtorch(cacheOf(home))
    const found = async () => (await findLibtorch(env)).libtorch

    expect(await found()).toEqual({
      path: join(home, 'named'),
      version: '2.13.0+cpu',
      cuda: false,
      source: 'LIBTORCH',
    })
    delete env.LIBTORCH
    expect(await found()).toMatchObject({ source: 'python3', version: '2.12.1' })
    fakePython(join(home, 'bin'))
    expect(await found()).toMatchObject({ source: 'cache', path: cacheOf(home) })
    rmSync(cacheOf(home), { recursive: true })
    expect(await findLibtorch(env)).toEqual({ libtorch: undefined, passedOver: [] })
  })

  test('XDG_CACHE_HOME moves the cache', async () => {
    env.XDG_CACHE_HOME = join(home, 'elsewhere')
    fakeLibtorch(cacheOf(home))
    expect((await findLibtorch(env)).libtorch).toBeUndefined()
    const path = fakeLibtorch(join(home, 'elsewhere/mcloss/libtorch-2.13.0+cpu'))
    expect((await findLibtorch(env)).libtorch?.path).toBe(path)
  })

  test('LIBTORCH_USE_PYTORCH=1 goes before LIBTORCH', async () => {
    env.LIBTORCH = fakeLibtorch(join(home, 'named'))
    env.LIBTORCH_USE_PYTORCH = '1'
    fakePython(join(home, 'bin'), fakeLibtorch(join(home, 'site/torch')))
    expect((await findLibtorch(env)).libtorch?.source).toBe('python3')
  })

  test('no python3 at all is no torch', async () => {
    env.PATH = join(home, 'nothing')
    fakeLibtorch(cacheOf(home))
    expect((await findLibtorch(env)).libtorch?.source).toBe('cache')
  })
})

describe('what is named is taken or refused', () => {
  test.each(['missing', 'empty'])('LIBTORCH names a folder that is %s', async (kind) => {
    env.LIBTORCH = join(home, kind)
    writeFile(join(home, 'empty/readme'))
    fakePython(join(home, 'bin'), fakeLibtorch(join(home, 'site/torch')))
    await expect(findLibtorch(env)).rejects.toMatchObject({
      code: 'E_SETUP',
      message: expect.stringMatching(/LIBTORCH names .* holds no LibTorch.*mcloss setup --fetch/s),
    })
  })

  test('LibTorch that may not be read is not said to be missing', async () => {
    const named = fakeLibtorch(join(home, 'named'))
    await closed(named, async () => {
      expect(() => libtorchAt(named, 'LIBTORCH')).toThrow(/EACCES.*named\/include.*this user/)
    })
    fakeLibtorch(cacheOf(home))
    await closed(join(home, '.cache'), async () => {
      env.PATH = join(home, 'nothing')
      const { libtorch, passedOver } = await findLibtorch(env)
      expect(libtorch).toBeUndefined()
      expect(passedOver).toEqual([expect.stringMatching(/EACCES.*\.cache/)])
    })
  })

  test('LibTorch without one of its libraries says which', () => {
    rmSync(join(fakeLibtorch(home), 'lib/libc10.so'))
    expect(() => libtorchAt(home, 'LIBTORCH')).toThrow(/lib\/libc10\.so is missing/)
  })

  test('LIBTORCH_USE_PYTORCH=1 without a torch in python3', async () => {
    env.LIBTORCH_USE_PYTORCH = '1'
    fakeLibtorch(cacheOf(home))
    await expect(findLibtorch(env)).rejects.toMatchObject({ code: 'E_SETUP' })
  })

  test('LIBTORCH may be the folder above: site-packages, an unpacked archive', () => {
    for (const name of ['torch', 'libtorch']) {
      const path = fakeLibtorch(join(home, `above-${name}`, name))
      expect(libtorchAt(join(home, `above-${name}`), 'LIBTORCH').path).toBe(path)
    }
  })
})

describe('version', () => {
  // 2.9 < 2.11 as numbers, not as text.
  test.each(['2.9.1', '2.10.0+cu128', '1.13.1'])('%s is too old', async (version) => {
    env.LIBTORCH = fakeLibtorch(join(home, 'old'), version)
    await expect(findLibtorch(env)).rejects.toThrow(/LibTorch >= 2\.11 but .*MCLOSS_BYPASS/)
    env.MCLOSS_BYPASS_VERSION_CHECK = '1'
    expect((await findLibtorch(env)).libtorch?.version).toBe(version)
  })

  test.each(['2.11.0', '2.13.0+cpu', '3.0.0a0'])('%s is new enough', (version) => {
    expect(libtorchAt(fakeLibtorch(home, version), 'LIBTORCH').version).toBe(version)
  })

  test('an old torch that was merely found is passed over, with its reason', async () => {
    fakePython(join(home, 'bin'), fakeLibtorch(join(home, 'site/torch'), '2.4.0'))
    fakeLibtorch(cacheOf(home))
    const { libtorch, passedOver } = await findLibtorch(env)
    expect(libtorch?.source).toBe('cache')
    expect(passedOver).toEqual([expect.stringContaining('is 2.4.0')])
  })

  test('from build-version, or from a header, where there is no version.py', () => {
    fakeLibtorch(home)
    rmSync(join(home, 'version.py'))
    expect(() => libtorchAt(home, 'LIBTORCH')).toThrow(/version .* cannot be read/)
    const numbers = { MAJOR: 2, MINOR: 12, PATCH: 3 }
    const lines = Object.entries(numbers).map(([name, n]) => `#define TORCH_VERSION_${name} ${n}\n`)
    writeFile(join(home, 'include/torch/headeronly/version.h'), lines.join(''))
    expect(libtorchAt(home, 'LIBTORCH').version).toBe('2.12.3')
    writeFile(join(home, 'build-version'), '2.13.0+cu130\n')
    expect(libtorchAt(home, 'LIBTORCH').version).toBe('2.13.0+cu130')
  })

  test('a CUDA build is told by its library', () => {
    writeFile(join(fakeLibtorch(home), 'lib/libtorch_cuda.so'))
    expect(libtorchAt(home, 'LIBTORCH').cuda).toBe(true)
  })
})
