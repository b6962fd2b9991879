// The records the data path speaks: samples, datasets, batches.

import type { NativeBatch } from '../binding.js'

/** One image file and its class. */
export interface Sample {
  /** Absolute path of a JPEG, PNG or WebP file. */
  path: string
  /** 0..classes.length-1 */
  label: number
  /** The object's bounding box in the file's own pixels: x, y, width, height. */
  box?: readonly [number, number, number, number]
  /** Rows of the file's pixels to cut off its bottom before anything else: a copyright strip. */
  cropBottom?: number
}

export const SPLITS = ['train', 'test'] as const
export type Split = (typeof SPLITS)[number]

/** What a loader gives; validation images are set aside from the training split (validation.ts). */
export const LOADED_SPLITS = ['train', 'validation', 'test'] as const
export type LoadedSplit = (typeof LOADED_SPLITS)[number]

/** What a run needs of its data. Class i owns the i-th group of channels. */
export interface Dataset {
  name?: string
  classes: string[]
  train: Sample[]
  test: Sample[]
  /** What the reader of the files found odd but usable, one sentence each. */
  warnings?: string[]
}

/** A square side, or [height, width], in pixels. */
export type Size = number | readonly [number, number]

export function heightWidth(size: Size): [number, number] {
  return typeof size === 'number' ? [size, size] : [size[0], size[1]]
}

/** One batch of the loader: what native wants, and where it came from. */
export type Batch = NativeBatch & {
  labels: Int32Array
  /** Position in the epoch, from 0. */
  index: number
  /** The samples' positions in their split; those of validation images are in the training split. */
  samples: Int32Array
  /** Hands the pixel buffer back to the loader; do not touch the batch after it. Optional. */
  release(): void
}
