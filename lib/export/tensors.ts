// The tensors of a model file in memory, each to be taken once by the layer that it belongs to.

import { McLossError } from '../errors.js'
import { isFloat } from '../weights/float32.js'
import type { Weights } from '../weights/read.js'
import type { StoredTensor } from '../weights/table.js'
import { tensorBytes } from '../weights/tensor-bytes.js'

export interface Values {
  shape: number[]
  /** Whoever takes them may change them. */
  values: Float32Array
}

export class Tensors {
  readonly #named = new Map<string, Values>()

  private constructor(readonly file: string) {}

  /** @throws McLossError E_NUMERICS for values that are not finite. */
  static async of(weights: Weights): Promise<Tensors> {
    const tensors = new Tensors(weights.path)
    for (const tensor of weights.tensors) {
      const { name, dtype, shape } = tensor
      if (!isFloat(dtype)) continue // num_batches_tracked only counts
      tensors.#named.set(name, { shape, values: await floatsOf(weights, tensor) })
    }
    return tensors
  }

  has(name: string): boolean {
    return this.#named.has(name)
  }

  /** Empty where it is not there. */
  shapeOf(name: string): number[] {
    return this.#named.get(name)?.shape ?? []
  }

  /** The names that nobody has taken. */
  names(): string[] {
    return [...this.#named.keys()]
  }

  /** @throws McLossError E_WEIGHTS where it is not there, or not of that shape; null: any extent. */
  take(name: string, ...shape: (number | null)[]): Values {
    const found = this.#named.get(name)
    const fits =
      found?.shape.length === shape.length &&
      shape.every((extent, at) => extent === null || extent === found.shape[at])
    if (!found || !fits) {
      const expected = `[${shape.map((extent) => extent ?? '?').join(', ')}]`
      const received = found ? `[${found.shape.join(', ')}]` : 'none'
      throw this.misfit(`expected a tensor ${name} ${expected} but found ${received}`)
    }
    this.#named.delete(name)
    return found
  }

  misfit(problem: string): McLossError {
    return new McLossError(
      'E_WEIGHTS',
      `export: ${this.file} does not fit the model that its own header describes: ${problem}. It was ` +
        'changed after it was saved: use another checkpoint of the run.',
    )
  }
}

/** A checkpoint's weights are float32, as native writes them. */
export async function floatsOf(weights: Weights, tensor: StoredTensor): Promise<Float32Array> {
  const { name, dtype } = tensor
  if (dtype !== 'F32') {
    throw new McLossError(
      'E_WEIGHTS',
      `export: expected the weights of ${weights.path} in F32, as a run saves them, but ${name} is ` +
        `${dtype}. Use a checkpoint as it was saved.`,
    )
  }
  const bytes = await tensorBytes(weights, tensor)
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  requireFinite(weights.path, name, values)
  return values
}

/** @throws McLossError E_NUMERICS naming the first value that is not. */
export function requireFinite(file: string, name: string, values: Float32Array): void {
  let wrong = 0 // a loop: findIndex takes five times as long, and there are millions
  while (wrong < values.length && Number.isFinite(values[wrong])) wrong++
  if (wrong === values.length) return
  throw new McLossError(
    'E_NUMERICS',
    `export: expected finite weights of the model ${file}, but ${name} holds ${values[wrong]} at ` +
      `element ${wrong}: its training has diverged. Use another checkpoint, or train again with a ` +
      'lower optim.lr.',
  )
}
