// A trained network exported: the same probabilities as predict gives for the same files, from what the file
// says of itself alone; and what is refused.

import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import protobuf from 'protobufjs'
import { beforeAll, expect, test } from 'vitest'
import { defineConfig } from '../../../lib/config/index.js'
import { gate } from '../../../lib/data/pool.js'
import { decodeRows } from '../../../lib/data/stream.js'
import { exportModel } from '../../../lib/export/index.js'
import { channelGroups } from '../../../lib/mc-loss.js'
import type { Prediction } from '../../../lib/predict/each.js'
import { predict } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { changeTensors, runOnnx } from '../../support/onnx.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
const folder = temporaryFolder()
const config = defineConfig(
  toyConfig(folder, {
    name: 'run',
    data: {
      ...toyConfig(folder).data,
      resize: [64, 60],
      crop: [56, 48],
      padding: 0,
      mean: [0.4, 0.5, 0.6],
    },
    optim: { lr: 0.05, epochs: 2, batchSize: 8, ema: { decay: 0.5 } },
  }),
)
let runDir: string
let files: string[]

beforeAll(async () => {
  runDir = (await train(config).result).runDir
  const test = join(folder, 'birds/test')
  files = readdirSync(test, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jpg'))
    .map((name) => join(test, name))
})

/** What the file says of itself, by the two messages of onnx.proto that hold it. */
function metadataOf(path: string) {
  const { root } = protobuf.parse(`syntax = "proto2";
    message Entry { optional string key = 1; optional string value = 2; }
    message Model { repeated Entry metadata_props = 14; }`)
  const model = root.lookupType('Model').decode(readFileSync(path))
  const { metadataProps } = model as unknown as { metadataProps: Record<'key' | 'value', string>[] }
  return Object.fromEntries(metadataProps.map(({ key, value }) => [key, JSON.parse(value)]))
}

test.each([false, true])('the probabilities of predict within 1e-5; ema %s', async (ema) => {
  const out = join(folder, `model-${ema}.onnx`)
  const { bytes } = await exportModel({ weights: runDir, out, format: 'onnx', ema })
  expect(bytes).toBe(statSync(out).size)
  const { classes, preprocessing, groups } = metadataOf(out)
  const { resize, crop, ...inside } = preprocessing
  expect(inside).toEqual({
    cropBottom: 0,
    input: 'u8',
    mean: [0.4, 0.5, 0.6],
    std: [0.5, 0.5, 0.5],
  })
  expect(resize).toMatchObject({ height: 64, width: 60 })
  expect(crop).toEqual({ top: 4, left: 6, height: 56, width: 48 })
  expect(groups).toEqual(channelGroups(12, 3))

  const predictions = await predict(files, { weights: runDir, top: 3, ema })
  const [height, width] = [resize.height, resize.width]
  const pixels = new Uint8Array(files.length * height * width * 3)
  await decodeRows(
    files.map((path) => ({ path })),
    {
      ...{ size: [height, width], buffer: pixels, decoding: gate(2), isOver: () => false },
      report: (_, error) => {
        throw error
      },
    },
  )
  const image = new Uint8Array(files.length * crop.height * crop.width * 3)
  for (let row = 0; row < files.length * crop.height; row++) {
    const [n, y] = [Math.floor(row / crop.height), row % crop.height]
    const first = 3 * ((n * height + crop.top + y) * width + crop.left)
    image.set(pixels.subarray(first, first + 3 * crop.width), row * 3 * crop.width)
  }
  const dims = [files.length, crop.height, crop.width, 3]
  const { probabilities } = await runOnnx(out, new ort.Tensor('uint8', image, dims))
  let compared = 0
  for (const [n, { top }] of (predictions as Prediction[]).entries()) {
    for (const { class: name, label, probability } of top) {
      expect(classes[label]).toBe(name)
      expect(Math.abs((probabilities[n * 3 + label] as number) - probability)).toBeLessThan(1e-5)
      compared++
    }
  }
  expect(compared).toBe(3 * files.length)
})

const refused = (code: string, message: RegExp) => ({
  code,
  message: expect.stringMatching(message),
})

test('what is refused leaves nothing behind', async () => {
  const broken = join(folder, 'broken')
  const copy = (name: string, change: Parameters<typeof changeTensors>[1]) => {
    const path = join(broken, `${name}.safetensors`)
    cpSync(join(runDir, 'best/model.safetensors'), path)
    changeTensors(path, change)
    return path
  }
  mkdirSync(broken)
  const only = (tensor: string, value: number) => (name: string) =>
    name === tensor ? () => value : undefined
  const nan = copy('nan', only('features.0.weight', Number.NaN))
  const infinite = copy('infinite', only('features.1.running_var', Number.POSITIVE_INFINITY))
  const negative = copy('negative', only('features.1.running_var', -1))
  const out = join(folder, 'refused.onnx')
  for (const [weights, tensor] of [
    [nan, 'features.0.weight holds NaN'],
    [infinite, 'features.1.running_var holds Infinity'],
    [negative, 'features.0.weight holds NaN'],
  ] as const) {
    const diverged = refused('E_NUMERICS', new RegExp(`${weights}.*${tensor}.*diverged`))
    await expect(exportModel({ weights, out, format: 'onnx' })).rejects.toMatchObject(diverged)
  }
  const names = 'torchvision' as const
  const given = { weights: nan, out, format: 'safetensors', names } as const
  await expect(exportModel(given)).rejects.toMatchObject(refused('E_ARGUMENT', /has no toy/))

  const missing = { weights: join(folder, 'none'), out, format: 'onnx' } as const
  await expect(exportModel(missing)).rejects.toMatchObject(refused('E_CHECKPOINT', /none/))
  const raw = { weights: join(runDir, 'best/optimizer.safetensors'), out, format: 'onnx' } as const
  await expect(exportModel(raw)).rejects.toMatchObject(refused('E_WEIGHTS', /optimizer/))
  const there = join(folder, 'there.onnx')
  writeFileSync(there, 'mine')
  const over = { weights: runDir, out: there, format: 'onnx' } as const
  await expect(exportModel(over)).rejects.toMatchObject(refused('E_IO', /is there already/))
  expect(readFileSync(there, 'utf8')).toBe('mine')
  const under = { weights: runDir, out: join(there, 'model.onnx'), format: 'onnx' } as const
  await expect(exportModel(under)).rejects.toMatchObject(refused('E_IO', /there.onnx/))
  expect(readdirSync(folder).filter((name) => /refused|\.part/.test(name))).toEqual([])
})

function mcloss(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((settle) => {
    execFile(cli, args, { cwd: folder }, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

test('the command writes the same file; wrong words are exit 2', async () => {
  const command = ['export', runDir, '--out']
  const onnx = await mcloss(...command, 'cli.onnx', '--format', 'onnx', '--maps', '--input', 'f32')
  expect(onnx).toMatchObject({ code: 0, stderr: '' })
  expect(onnx.stdout.trim().split('\n').at(-1)).toBe(join(folder, 'cli.onnx'))
  const out = join(folder, 'library.onnx')
  await exportModel({ weights: runDir, out, format: 'onnx', maps: true, input: 'f32' })
  expect(readFileSync(join(folder, 'cli.onnx')).equals(readFileSync(out))).toBe(true)

  const again = await mcloss(...command, 'cli.onnx', '--format', 'onnx')
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') })
  for (const [words, problem] of [
    ['--format pickle', 'pickle'],
    ['--format onnx --names timm', '--names goes with'],
    ['--format safetensors', 'needs --names'],
  ] as const) {
    const result = await mcloss(...command, 'no.onnx', ...words.split(' ').filter(Boolean))
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(problem) })
  }
  expect(existsSync(join(folder, 'no.onnx'))).toBe(false)
})
