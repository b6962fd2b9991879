// The answers to many files one after another: as many are held as are in work.

import { resolve } from 'node:path'
import type { McLossError } from '../errors.js'
import type { ModelOptions } from './model.js'
import { type Answer, type Output, type Outputs, openOutputs } from './outputs.js'
import type { Picture } from './pictures.js'

export interface Prediction extends Answer {
  path: string
  /** Why there is no answer: E_IMAGE, or E_DATA for a folder or a glob without images. */
  error?: McLossError
}

export interface EachOptions extends ModelOptions {
  /** Default 5. */
  top?: number
  /** With the input of the last layer. Default false. */
  embeddings?: boolean
  signal?: AbortSignal
}

/**
 * In the order of the pictures. Batches are made of those without an error, in that order too.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS; E_NUMERICS for a model whose outputs are not finite;
 * E_ABORTED.
 */
export async function* predictEach(
  pictures: readonly Picture[],
  options: EachOptions,
): AsyncGenerator<Prediction & Output, void, undefined> {
  const { top = 5, embeddings: embedding = false } = options
  const left = new AbortController() // the reader may leave early
  const signal = AbortSignal.any([left.signal, ...(options.signal ? [options.signal] : [])])
  const outputs = await openOutputs('predict', options)
  const ahead: Promise<(Prediction & Output)[]>[] = []
  try {
    for (const chunk of chunksOf(pictures, outputs.batchSize)) {
      const answers = answersTo(
        chunk,
        outputs.of(filesOf(chunk), { who: 'predict', top, embedding }, signal),
      )
      answers.catch(() => {}) // seen by whoever awaits it in turn
      ahead.push(answers)
      if (ahead.length > outputs.ahead) yield* await (ahead.shift() as (typeof ahead)[0])
    }
    for (const answers of ahead) yield* await answers
  } finally {
    left.abort()
    await outputs.close()
  }
}

const filesOf = (pictures: readonly Picture[]) =>
  pictures.filter(({ error }) => !error).map(({ path }) => ({ path: resolve(path) }))

/** Each with `size` pictures without an error, the last with fewer. */
function* chunksOf(pictures: readonly Picture[], size: number): Generator<Picture[]> {
  let chunk: Picture[] = []
  let files = 0
  for (const picture of pictures) {
    chunk.push(picture)
    if (!picture.error) files++
    if (files < size) continue
    yield chunk
    ;[chunk, files] = [[], 0]
  }
  if (chunk.length > 0) yield chunk
}

async function answersTo(
  chunk: Picture[],
  outputs: ReturnType<Outputs['of']>,
): Promise<(Prediction & Output)[]> {
  const answers = (await outputs).values()
  return chunk.map(({ path, error }) =>
    error ? { path, top: [], error } : { path, ...(answers.next().value as Output) },
  )
}
