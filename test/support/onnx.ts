// Models of every kind to export, with what native says of some pictures; and onnxruntime-web.

import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import { native } from '../../lib/binding.js'
import {
  type ConfigInput,
  configToJson,
  defineConfig,
  nativeConfig,
} from '../../lib/config/index.js'
import { wholeBatch } from './formula-batch.js'
import { words } from './formula-weights.js'

ort.env.wasm.numThreads = 1

/** Of a saved case. */
export const MEAN: [number, number, number] = [0.485, 0.456, 0.406]
export const STD: [number, number, number] = [0.229, 0.224, 0.225]

/** What the file makes of pictures. */
export async function runOnnx(path: string, image: ort.Tensor) {
  // Weights are used once: packing them anew would take longer than the computation.
  const session = await ort.InferenceSession.create(readFileSync(path), {
    graphOptimizationLevel: 'disabled',
    extra: { session: { disable_prepacking: '1' } },
  })
  const outputs = await session.run({ image })
  await session.release()
  const valuesOf = (name: string) => outputs[name]?.data as Float32Array
  return { outputs, probabilities: valuesOf('probabilities'), maps: valuesOf('maps') }
}

/** u8 [N, side, side, 3] as it is. */
export const bytesImage = (bytes: Uint8Array, side: number): ort.Tensor =>
  new ort.Tensor('uint8', bytes, [bytes.length / (3 * side ** 2), side, side, 3])

/** u8 [N, side, side, 3] -> f32 [N, 3, side, side], 0..1. */
export function floatsImage(bytes: Uint8Array, side: number): ort.Tensor {
  const area = side ** 2
  const floats = new Float32Array(bytes.length)
  for (const [at, byte] of bytes.entries()) {
    const n = Math.floor(at / (3 * area))
    floats[(n * 3 + (at % 3)) * area + (Math.floor(at / 3) % area)] = byte / 255
  }
  return new ort.Tensor('float32', floats, [bytes.length / (3 * area), 3, side, side])
}

export interface Case {
  model: ConfigInput['model']
  loss: ConfigInput['loss']
  side: number
  classes: number
}

/** Changes tensors of a .safetensors file where they lie; undefined leaves one as it is. */
export function changeTensors(
  path: string,
  change: (name: string, shape: number[]) => ((value: number, at: number) => number) | undefined,
): void {
  const file = openSync(path, 'r+')
  const read = (begin: number, length: number) => {
    const bytes = Buffer.alloc(length)
    readSync(file, bytes, 0, length, begin)
    return bytes
  }
  const headerLength = Number(read(0, 8).readBigUInt64LE())
  const { __metadata__: _, ...tensors } = JSON.parse(read(8, headerLength).toString()) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >
  for (const [name, { shape, data_offsets }] of Object.entries(tensors)) {
    const changed = change(name, shape)
    if (!changed) continue
    const [first, end] = data_offsets.map((offset) => 8 + headerLength + offset) as [number, number]
    const bytes = read(first, end - first)
    for (let at = 0; at < bytes.length; at += 4) {
      bytes.writeFloatLE(changed(bytes.readFloatLE(at), at / 4), at)
    }
    writeSync(file, bytes, 0, bytes.length, first)
  }
  closeSync(file)
}

/** Batch norms and biases that do something. */
function untrivial(name: string, shape: number[]) {
  if (shape.length !== 1) return undefined
  const values = words(name, shape[0] ?? 0)
  const isScale = name.endsWith('running_var') || name.endsWith('weight')
  const [least, width] = isScale ? [0.25, 0.75] : [-0.1, 0.2]
  return (_: number, at: number) => least + (width * (values[at] as number)) / 2 ** 32
}

/** Saves a model without trivial values, and asks it about `count` pictures. */
export async function savedCase(folder: string, given: Case, count: number) {
  const { model, loss, side, classes } = given
  const config = defineConfig({
    threads: 1,
    data: { name: 'own', resize: side, mean: MEAN, std: STD },
    model,
    loss,
    optim: { lr: 0.1, epochs: 1, batchSize: 2 },
  })
  const settings = nativeConfig(config, classes)
  const trainer = await native().NativeTrainer.create(settings)
  const saved = join(folder, 'model')
  mkdirSync(saved, { recursive: true })
  await trainer.save(saved, {
    format: 'mcloss',
    config: JSON.stringify(configToJson(config)),
    classes: JSON.stringify(Array.from({ length: classes }, (_, k) => `class ${k}`)),
    preprocessing: '{"cropBottom":0}',
  })
  const weights = join(saved, 'model.safetensors')
  changeTensors(weights, untrivial)
  await trainer.loadWeights(weights, { backboneOnly: false })
  const batch = wholeBatch(count, side, classes)
  const logits = await trainer.predict(batch)
  const { channels } = native().mapShape(settings.model)
  const features = await trainer.features(batch, {
    channels: Array.from({ length: channels }, (_, k) => k),
  })
  await trainer.dispose()
  return { weights, bytes: batch.pixels, logits, features }
}
