// The same pixels for every side: a few batches of random u8 images with their windows and labels,
// made from a seed, also written as raw files that the peers read.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for one benchmark run, removed when the process ends. */
export function scratchDir() {
  const dir = mkdtempSync(join(tmpdir(), 'mcloss-bench-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/**
 * `batches` batches of `batch` images, each (side x side) with a window of (size x size) in it;
 * side = size * 8 / 7, the 256 of 224. Three batches of 224 px hold 9 MB: more than a core's cache.
 */
export function makeBatches({ dir, size, batch, classes, batches = 3, seed = 1 }) {
  const side = Math.ceil((size * 8) / 7)
  const random = xorshift32(seed)
  const count = batches * batch
  const pixels = new Uint8Array(count * side * side * 3)
  const words = new Uint32Array(pixels.buffer)
  for (let i = 0; i < words.length; i++) words[i] = random()
  const windows = new Int32Array(count * 3)
  const labels = new Int32Array(count)
  const margin = side - size + 1
  for (let i = 0; i < count; i++) {
    windows.set([random() % margin, random() % margin, random() % 2], i * 3)
    labels[i] = random() % classes
  }
  const files = {
    pixels: join(dir, `pixels-${size}.bin`),
    windows: join(dir, `windows-${size}.bin`),
    labels: join(dir, `labels-${size}.bin`),
  }
  writeFileSync(files.pixels, pixels)
  writeFileSync(files.windows, windows)
  writeFileSync(files.labels, labels)
  /** shape: what another process needs to read the files. */
  const shape = { files, batches, batch, side, size, classes }
  return { shape, ...inTurns(shape, pixels, windows, labels) }
}

/** The same batches from the files that makeBatches wrote. */
export function batchesFrom(shape) {
  const read = (name, Type) => new Type(new Uint8Array(readFileSync(shape.files[name])).buffer)
  return inTurns(
    shape,
    read('pixels', Uint8Array),
    read('windows', Int32Array),
    read('labels', Int32Array),
  )
}

function inTurns({ batches, batch, side }, pixels, windows, labels) {
  const bytes = batch * side * side * 3
  return {
    /** Batch number `step` as native wants it; the batches take turns. */
    at(step) {
      const i = step % batches
      return {
        pixels: pixels.subarray(i * bytes, (i + 1) * bytes),
        count: batch,
        height: side,
        width: side,
        windows: windows.subarray(i * batch * 3, (i + 1) * batch * 3),
        labels: labels.subarray(i * batch, (i + 1) * batch),
      }
    },
  }
}

/** Marsaglia 2003; 32 bits, never 0. */
function xorshift32(seed) {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
}
