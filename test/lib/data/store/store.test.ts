// The store against streaming: the same steps to the bit; and what is refused or noticed.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { native, type PixelSource, type RowSource } from '../../../../lib/binding.js'
import { defineConfig } from '../../../../lib/config/index.js'
import type { Dataset } from '../../../../lib/data/batch.js'
import {
  HEADER_BYTES,
  headerBytes,
  readHeader,
  type StoreHeader,
  storeLayout,
} from '../../../../lib/data/store/format.js'
import { openStores, prepareStores } from '../../../../lib/data/store/index.js'
import { train } from '../../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../../support/small-birds.js'
import { noise, noiseFiles, pixelsOf, SIZE, storeOptions } from '../../../support/store-fixture.js'

const folder = temporaryFolder()
const COUNT = 12
let dataset: Dataset

beforeAll(async () => {
  dataset = await noiseFiles(join(folder, 'files'), COUNT)
})

test('mmap, ram and off: identical losses over 50 steps and identical weights, jitter and erasing included', async () => {
  const runs = []
  for (const store of ['mmap', 'ram', 'off'] as const) {
    const input = toyConfig(folder, { name: `as-${store}` })
    const jitter = { brightness: 0.4, contrast: 0.4, saturation: 0.4 }
    const run = train(
      defineConfig({
        ...input,
        data: { ...input.data, store, jitter, randomErasing: 0.5 },
        optim: { ...input.optim, epochs: 17 }, // three steps each
        evalEvery: 17,
        checkpointEvery: 17,
      }),
    )
    const losses: number[] = []
    let mode: string | undefined
    for await (const event of run) {
      if (event.type === 'progress') losses.push(event.loss)
      if (event.type === 'epoch') losses.push(event.train.loss)
      if (event.type === 'store') mode = event.mode
    }
    const { runDir, last } = await run.result
    const weights = readFileSync(join(runDir, 'last/model.safetensors'))
    expect(mode).toBe(store)
    // The metadata before the weights names the store.
    const data = weights.subarray(8 + Number(weights.readBigUInt64LE(0)))
    runs.push({ losses, test: last.loss, weights: createHash('sha256').update(data).digest('hex') })
  }
  expect(runs[0]?.losses.length).toBeGreaterThan(50)
  expect(runs[1]).toEqual(runs[0])
  expect(runs[2]).toEqual(runs[0])
})

describe('a store', () => {
  let file: string
  const options = storeOptions(join(folder, 'one'))

  beforeAll(async () => {
    const { files } = await prepareStores(dataset, options)
    file = files[0] as string
  })

  test('holds the pixels that decoding gives, in the order of the samples', async () => {
    const bytes = readFileSync(file)
    const { imageBytes, imageAt, fileBytes } = storeLayout({
      count: COUNT,
      height: SIZE[0],
      width: SIZE[1],
    })
    expect(bytes.length).toBe(fileBytes)
    for (const [index, { path }] of dataset.train.entries()) {
      const image = bytes.subarray(imageAt(index), imageAt(index) + imageBytes)
      expect(image.equals(await pixelsOf(path)), path).toBe(true)
    }
  })

  test('is used again: nothing is decoded the second time', async () => {
    const events: string[] = []
    await prepareStores(dataset, options, { onEvent: ({ type }) => events.push(type) })
    expect(events).toEqual([])
    expect(readdirSync(join(folder, 'one/stores'))).toHaveLength(2)
  })

  test('cut short or grown is refused by name, not a crash', async () => {
    const whole = readFileSync(file)
    for (const length of [0, 100, HEADER_BYTES, whole.length >> 1, whole.length - 1]) {
      truncateSync(file, length)
      await expect(openStores(dataset, options)).rejects.toMatchObject({
        code: 'E_DATA',
        message: expect.stringContaining(file),
      })
      writeFileSync(file, whole)
    }
    writeFileSync(file, Buffer.concat([whole, Buffer.alloc(1)]))
    await expect(openStores(dataset, options)).rejects.toMatchObject({ code: 'E_DATA' })
    writeFileSync(file, whole)

    // Native looks itself: a mapped file that is too short would end the process.
    const layout = {
      path: file,
      mode: 'mmap',
      offset: HEADER_BYTES,
      height: 40,
      width: 56,
    } as const
    for (const change of [
      { count: COUNT, fileBytes: whole.length + 1 },
      { count: COUNT + 1, fileBytes: whole.length },
    ]) {
      const refused = native().openStore({ ...layout, ...change })
      await expect(refused).rejects.toMatchObject({ code: 'E_DATA' })
    }
    const missing = native().openStore({ ...layout, path: `${file}.no`, count: 1, fileBytes: 1 })
    await expect(missing).rejects.toMatchObject({ code: 'E_IO' })
  })

  test('with one bit changed fails its verification, which names the row', async () => {
    const { imageAt } = storeLayout({ count: COUNT, height: SIZE[0], width: SIZE[1] })
    const handle = await open(file, 'r+')
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, imageAt(7) + 100)
    const flip = async (bit: number) => {
      await handle.write(Buffer.of((byte[0] as number) ^ bit), 0, 1, imageAt(7) + 100)
    }
    await flip(1)
    await expect(prepareStores(dataset, options, { verify: true })).rejects.toMatchObject({
      code: 'E_DATA',
      message: expect.stringContaining('row 7'),
    })
    await flip(0)
    await handle.close()
    await prepareStores(dataset, options, { verify: true })
  })

  test('that had not reached the disk when the machine stopped is checked before it is used', async () => {
    const { imageAt } = storeLayout({ count: COUNT, height: SIZE[0], width: SIZE[1] })
    const asOfAnotherBoot = async (change: (handle: FileHandle) => Promise<unknown>) => {
      const handle = await open(file, 'r+')
      const header = (await readHeader(handle)) as StoreHeader
      await handle.write(headerBytes({ ...header, boot: 'another' }), 0, undefined, 0)
      await change(handle)
      await handle.close()
      const events: string[] = []
      await prepareStores(dataset, options, {
        verify: true,
        onEvent: ({ type }) => events.push(type),
      })
      return events
    }
    await reachesTheDisk(file)
    expect(await asOfAnotherBoot(async () => {})).toEqual([])
    // A page that was lost.
    const zeros = Buffer.alloc(4096)
    const events = await asOfAnotherBoot((handle) => handle.write(zeros, 0, 4096, imageAt(2)))
    expect(events).toEqual(['warning', 'prepare'])
    await reachesTheDisk(file)
  })

  test('of files that have changed is built anew, with a warning', async () => {
    const { path } = dataset.train[3] as { path: string }
    for (const change of [
      async () => writeFileSync(path, await noise(5000)),
      async () => utimesSync(path, new Date(), new Date(1e12)), // the same bytes, touched
    ]) {
      await change()
      const warnings: string[] = []
      const { files } = await prepareStores(dataset, options, {
        onEvent: (event) => {
          if (event.type === 'warning') warnings.push(event.message)
        },
      })
      expect(files[0]).toBe(file)
      expect(warnings).toEqual([expect.stringContaining('have changed')])
      const { imageBytes, imageAt } = storeLayout({ count: COUNT, height: SIZE[0], width: SIZE[1] })
      const image = readFileSync(file).subarray(imageAt(3), imageAt(3) + imageBytes)
      expect(image.equals(await pixelsOf(path))).toBe(true)
    }
  })

  test('of another size or another list is another file', async () => {
    const other = await prepareStores(
      dataset,
      storeOptions(join(folder, 'one'), { resize: [8, 9] }),
    )
    expect(other.files[0]).not.toBe(file)
    const fewer = { ...dataset, train: dataset.train.slice(1) }
    const { files } = await prepareStores(fewer, options)
    expect(files[0]).not.toBe(file)
    expect(existsSync(file)).toBe(true)
  })

  test('that cannot be written says so, and what is decoded is kept', async () => {
    const out = join(folder, 'limited')
    const script = `import { prepareStores } from './dist/data/store/index.js'
      await prepareStores(...JSON.parse(process.argv[1])).catch((e) => console.log(e.code, e.message))`
    const argument = JSON.stringify([dataset, storeOptions(out)])
    const limited = `ulimit -f 64; trap '' XFSZ; exec "$0" --input-type=module -e "$1" "$2"`
    const { stdout } = spawnSync('bash', ['-c', limited, process.execPath, script, argument], {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '../../../..'),
    })
    expect(stdout).toMatch(/^E_IO store: .*could not be written/)
    await prepareStores(dataset, storeOptions(out), { verify: true })
  })

  test('stops within an image when aborted, and goes on from there', async () => {
    const stop = new AbortController()
    const out = storeOptions(join(folder, 'aborted'), { decoders: 1 })
    const onEvent = () => stop.abort()
    stop.abort()
    await expect(
      prepareStores(dataset, out, { signal: stop.signal, onEvent }),
    ).rejects.toMatchObject({ code: 'E_ABORTED' })
    await prepareStores(dataset, out, { verify: true })
  })
})

async function reachesTheDisk(file: string) {
  await vi.waitFor(async () => {
    const handle = await open(file)
    const header = await readHeader(handle)
    await handle.close()
    expect(header?.boot).toBe('')
  }, 300_000)
}

test('rows outside a store and closed stores are refused', async () => {
  const stores = await openStores(dataset, storeOptions(folder))
  const store = stores.train.store as number
  const windows = new Int32Array(3)
  const options = { outHeight: 4, outWidth: 4, mean: [0, 0, 0], std: [1, 1, 1] }
  const take = (source: RowSource | PixelSource) =>
    native().gatherAugment({ ...source, count: 1, windows }, options)
  for (const row of [-1, COUNT]) {
    await expect(take({ store, rows: Int32Array.of(row) })).rejects.toMatchObject({
      code: 'E_ARGUMENT',
    })
  }
  expect(await take({ store, rows: Int32Array.of(COUNT - 1) })).toHaveLength(48)
  stores.close()
  await expect(take({ store, rows: Int32Array.of(0) })).rejects.toMatchObject({
    code: 'E_ARGUMENT',
    message: expect.stringContaining('open store'),
  })
})
