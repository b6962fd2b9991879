// A model that stays open for calls: images in, classes or embeddings out. Concurrent calls share batches.

import { resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, count, signal } from '../arguments.js'
import { encodePng, type Picture } from '../data/images.js'
import { McLossError } from '../errors.js'
import { type ModelOptions, modelShape } from './model.js'
import { type Answer, type Outputs, openOutputs } from './outputs.js'

/** A file's path, the bytes of a JPEG, PNG or WebP file, or pixels. */
export type PredictorImage = string | Uint8Array | RawImage

export interface RawImage {
  /** u8 RGB [height, width, 3] */
  data: Uint8Array
  height: number
  width: number
}

export interface PredictOptions {
  /** How many classes. Default 5. */
  top?: number
  /** The call rejects at once with E_ABORTED; other calls are not touched. */
  signal?: AbortSignal
}

export interface Embedding {
  /** [D]: the input of the last layer; empty with an error. */
  embedding: Float32Array
  /** As that of predict. */
  error?: McLossError
}

/**
 * A call gives one result per image, in the order of the images. Images must not change until it settles.
 * It rejects with E_ARGUMENT for something that is no image, E_ABORTED, E_STATE after dispose(), and
 * E_NUMERICS for outputs that are not finite.
 */
export interface Predictor {
  readonly classes: readonly string[]
  predict(images: readonly PredictorImage[], options?: PredictOptions): Promise<Answer[]>
  /** Of each image itself, also with `flip`. */
  embed(
    images: readonly PredictorImage[],
    options?: Pick<PredictOptions, 'signal'>,
  ): Promise<Embedding[]>
  /** Calls made before it end as they would have; then everything is freed. Idempotent. */
  dispose(): Promise<void>
}

const callShape = z.object({ top: count.optional(), signal: signal.optional() }).optional()

/**
 * Opens a model and predicts one image with it, so that the first call does not wait for what happens only once.
 * The first batch of another size still prepares the network's operators for that size.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS for weights that cannot be used; E_DEVICE; E_NUMERICS for a
 * model whose outputs are not finite.
 */
export async function createPredictor(options: ModelOptions): Promise<Predictor> {
  checkArgument('createPredictor', 'options', modelShape, options)
  const outputs = await openOutputs('createPredictor', options)
  let closing: Promise<void> | undefined
  const dispose = () => {
    closing ??= outputs.close()
    return closing
  }
  try {
    await warmUp(outputs)
  } catch (error) {
    await dispose()
    throw error
  }
  const check = (who: string, images: readonly PredictorImage[], call: PredictOptions) => {
    checkArgument(who, 'images', z.array(z.unknown()), images)
    checkArgument(who, 'options', callShape, call)
    if (!closing) return images.map((image, at) => pictureOf(who, image, at))
    throw new McLossError(
      'E_STATE',
      `${who}: expected a predictor in use, but dispose() was called. Create another one.`,
    )
  }
  return {
    classes: outputs.classes,
    async predict(images, call = {}) {
      const who = 'predictor.predict'
      const pictures = check(who, images, call)
      return outputs.of(pictures, { who, top: call.top ?? 5, embedding: false }, call.signal)
    },
    async embed(images, call = {}) {
      const who = 'predictor.embed'
      const pictures = check(who, images, call)
      const all = await outputs.of(pictures, { who, top: 0, embedding: true }, call.signal)
      return all.map(({ embedding = new Float32Array(), error }) => ({
        embedding,
        ...(error && { error }),
      }))
    },
    dispose,
  }
}

/** sharp, the resize and the network's operators each do something the first time. embed computes the same. */
async function warmUp(outputs: Outputs): Promise<void> {
  const [width, height] = [32, 32 + outputs.cropBottom]
  const pixels = new Uint8Array(height * width * 3)
  const content = await encodePng({ pixels, width, height })
  const wish = { who: 'createPredictor', top: 1, embedding: false }
  await outputs.of([{ path: 'the first image', content }], wish)
}

/** @throws McLossError E_ARGUMENT */
function pictureOf(who: string, image: PredictorImage, at: number): Picture {
  const name = `images.${at}`
  if (typeof image === 'string' && image !== '') return { path: resolve(image) }
  if (image instanceof Uint8Array) return { path: name, content: image }
  const { data, height, width } = Object(image) as RawImage
  const isSize = (side: unknown) => Number.isInteger(side) && (side as number) > 0
  if (data instanceof Uint8Array && isSize(height) && isSize(width)) {
    if (data.length === 3 * height * width) {
      return { path: name, content: { pixels: data, height, width } }
    }
    throw wrong(
      `${who}: ${name}: expected data of height * width * 3 = ${3 * height * width} bytes, RGB, but ` +
        `received ${data.length}. Leave a fourth channel out.`,
    )
  }
  throw wrong(
    `${who}: ${name}: expected a path, the bytes of a JPEG, PNG or WebP file (Uint8Array), or ` +
      '{ data, height, width } with data a Uint8Array, but received something else. ' +
      'The types of the package and docs/api.md say what it takes.',
  )
}

const wrong = (message: string) => new McLossError('E_ARGUMENT', message)
