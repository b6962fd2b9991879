// Models of every kind to export, with what native says of some pictures; and onnxruntime-web.

import { mkdirSync } from 'node:fs'
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
import { stateOf, writeWeights } from './formula-weights.js'

ort.env.wasm.numThreads = 1

/** What the file makes of pictures. */
export async function runOnnx(path: string, image: ort.Tensor) {
  const session = await ort.InferenceSession.create(path)
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

/**
 * Saves a model of formula weights, none of them trivial, and asks it about `count` pictures. The last layer
 * is made small, so that no probability is near 0 or 1 and hides a difference.
 */
export async function savedCase(folder: string, given: Case, count: number) {
  const { model, loss, side, classes } = given
  const config = defineConfig({
    threads: 2,
    data: { name: 'own', resize: side, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    model,
    loss,
    optim: { lr: 0.1, epochs: 1, batchSize: 2 },
  })
  const settings = nativeConfig(config, classes)
  const trainer = await native().NativeTrainer.create(settings)
  const formula = join(folder, 'formula.safetensors')
  writeWeights(formula, await stateOf(trainer, folder), (name, values) => {
    if (!/^(fc|head\.fc2?|classifier\.6)\.(weight|means)$/.test(name)) return
    for (let at = 0; at < values.length; at++) values[at] = Number(values[at]) / 10
  })
  await trainer.loadWeights(formula, { backboneOnly: false })
  const saved = join(folder, 'model')
  mkdirSync(saved, { recursive: true })
  await trainer.save(saved, {
    format: 'mcloss',
    config: JSON.stringify(configToJson(config)),
    classes: JSON.stringify(Array.from({ length: classes }, (_, k) => `class ${k}`)),
    preprocessing: '{"cropBottom":0}',
  })
  const batch = wholeBatch(count, side, classes)
  const logits = await trainer.predict(batch)
  const { channels } = native().mapShape(settings.model)
  const features = await trainer.features(batch, {
    channels: Array.from({ length: channels }, (_, k) => k),
  })
  await trainer.dispose()
  return { weights: join(saved, 'model.safetensors'), bytes: batch.pixels, logits, features }
}
