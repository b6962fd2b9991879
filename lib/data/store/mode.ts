// Which store a run uses, from the sizes alone: pure.

import type { StoreMode } from '../../binding.js'
import { McLossError } from '../../errors.js'
import { sizeText } from '../../machine.js'

export type StoreChoice = StoreMode | 'off'

export interface StoreSizes {
  wanted: 'auto' | StoreChoice
  device: 'cpu' | 'cuda'
  /** Bytes of both splits, decoded. */
  bytes: number
  /** Bytes of disk that building still takes, and where. */
  toBuild: number
  folder: string
  freeDisk: number
  freeMemory: number
  /** Of the GPU; 0 without one. */
  freeDeviceMemory: number
}

/** Pages of a mapped file stay in memory only where there is room for them beside the training. */
const MEMORY_SHARE = 0.8
/** The other half is for weights, activations and their gradients. */
const DEVICE_SHARE = 0.5

/**
 * @throws McLossError E_CONFIG for gpu without device cuda, E_IO where the disk cannot hold a store
 * that was asked for by name.
 */
export function chooseStore(sizes: StoreSizes): { mode: StoreChoice; reason: string } {
  const { wanted, device, bytes, toBuild, folder } = sizes
  if (wanted === 'off') return { mode: 'off', reason: 'data.store is off' }
  if (wanted === 'gpu' && device !== 'cuda') {
    throw new McLossError(
      'E_CONFIG',
      'config: data.store gpu needs device cuda but device is cpu. Set data.store to auto.',
    )
  }
  const disk = `${sizeText(toBuild)} are needed in ${folder}, ${sizeText(sizes.freeDisk)} are free`
  if (toBuild > sizes.freeDisk) {
    if (wanted === 'auto') return { mode: 'off', reason: disk }
    throw new McLossError(
      'E_IO',
      `store: ${disk}. Free some, set data.storeDir to another disk, or data.store to off.`,
    )
  }
  if (wanted !== 'auto') return { mode: wanted, reason: `data.store is ${wanted}` }
  const { freeMemory, freeDeviceMemory } = sizes
  if (device === 'cuda' && bytes <= DEVICE_SHARE * freeDeviceMemory) {
    return { mode: 'gpu', reason: `${sizeText(freeDeviceMemory)} of GPU memory are free` }
  }
  const memory = `${sizeText(freeMemory)} of memory are free`
  return { mode: bytes <= MEMORY_SHARE * freeMemory ? 'mmap' : 'off', reason: memory }
}
