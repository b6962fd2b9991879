// Which store a run takes, from sizes alone.

import { describe, expect, test } from 'vitest'
import { chooseStore, type StoreSizes } from '../../../../lib/data/store/mode.js'

describe('which store', () => {
  const sizes: StoreSizes = {
    ...{ wanted: 'auto', device: 'cpu', bytes: 10e9, toBuild: 10e9, folder: '/disk' },
    ...{ freeDisk: 11e9, freeMemory: 13e9, freeDeviceMemory: 0 },
  }
  const cuda: Partial<StoreSizes> = { device: 'cuda', freeDeviceMemory: 20e9 }
  test.each<[string, Partial<StoreSizes>]>([
    ['mmap', {}],
    ['off', { freeMemory: 12e9 }],
    ['off', { freeDisk: 9e9 }],
    ['mmap', { freeDisk: 0, toBuild: 0 }],
    ['gpu', cuda],
    ['mmap', { ...cuda, freeDeviceMemory: 19e9 }],
    ['off', { ...cuda, freeDisk: 1e9 }],
    ['off', { wanted: 'off' }],
    ['mmap', { wanted: 'mmap', freeMemory: 1e9 }],
    ['ram', { wanted: 'ram' }],
    ['gpu', { ...cuda, wanted: 'gpu', freeDeviceMemory: 1e9 }],
  ])('%s for %j', (mode, change) => {
    const choice = chooseStore({ ...sizes, ...change })
    expect(choice.mode).toBe(mode)
    expect(choice.reason).not.toBe('')
  })

  test('a disk that is too small is an error before work starts, with needed and free space', () => {
    const small = { ...sizes, wanted: 'mmap', freeDisk: 2.5e9 } as const
    expect(() => chooseStore(small)).toThrow(
      expect.objectContaining({
        code: 'E_IO',
        message: expect.stringMatching(/10\.0 GB.*2\.5 GB/),
      }),
    )
  })

  test('gpu without device cuda is refused', () => {
    expect(() => chooseStore({ ...sizes, wanted: 'gpu' })).toThrow(
      expect.objectContaining({ code: 'E_CONFIG' }),
    )
  })
})
