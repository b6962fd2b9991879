// Files of answers, written as the answers come, so that none are held. A file is FILE.part until it is
// whole, and neither takes the place of another.

import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { csvText } from '../records/csv.js'
import { refuseExisting } from '../weights/new-file.js'
import { safetensorsHeader } from '../weights/safetensors.js'
import type { Prediction } from './each.js'
import type { Output } from './outputs.js'

export interface ResultFile {
  write(answer: Prediction & Output): Promise<void>
  /** Gives the file its name. */
  finish(): Promise<void>
  /** In place of finish: what is of use stays as FILE.part. Gives its path, if there is one. */
  stop(): Promise<string | undefined>
}

/** A row per image: path, `top` times class, label and probability, then the error. */
export async function csvFile(path: string, top: number): Promise<ResultFile> {
  const ranks = Array.from({ length: top }, (_, rank) => (rank === 0 ? '' : String(rank + 1)))
  const columns = ranks.flatMap((rank) => [`class${rank}`, `label${rank}`, `probability${rank}`])
  const header = csvText([['path', ...columns, 'error']])
  return textFile(path, header, ({ path, top, error }) => {
    const cells = ranks.flatMap((_, rank) => {
      const { class: name, label, probability } = top[rank] ?? {}
      return [name, label, probability]
    })
    return csvText([[path, ...cells, error?.message]])
  })
}

/** A line per image, as answerJson. */
export function jsonLinesFile(path: string): Promise<ResultFile> {
  return textFile(path, '', (answer) => `${JSON.stringify(answerJson(answer))}\n`)
}

export function answerJson({ path, top, error }: Prediction) {
  return { path, top, ...(error && { error: { code: error.code, message: error.message } }) }
}

async function textFile(
  path: string,
  header: string,
  textOf: (answer: Prediction) => string,
): Promise<ResultFile> {
  const part = await Part.open(path)
  await part.append(Buffer.from(header))
  let rows = 0
  return {
    async write(answer) {
      await part.append(Buffer.from(textOf(answer)))
      rows++
    },
    finish: () => part.finish(),
    stop: () => part.stop(rows > 0),
  }
}

/** The official reader's limit. */
const MAX_HEADER_BYTES = 100_000_000
const WIDEST = 2 ** 31

/**
 * A safetensors file: `embeddings` float32 [N, D], and in its metadata `names`, a JSON array of the N
 * paths. Images without an answer are in neither. `paths`: all that may come; the header, which has to be
 * first, gets room for them.
 */
export async function embeddingsFile(path: string, paths: readonly string[]): Promise<ResultFile> {
  const room = embeddingsHeader(paths, WIDEST).length
  if (room > MAX_HEADER_BYTES) {
    throw new McLossError(
      'E_ARGUMENT',
      `predict: expected paths that take at most ${MAX_HEADER_BYTES / 1e6} MB in the header of a ` +
        `safetensors file, but those of ${paths.length} images take ${Math.ceil(room / 1e6)} MB. ` +
        'Predict them in several parts.',
    )
  }
  const part = await Part.open(path)
  await part.append(Buffer.alloc(room))
  const names: string[] = []
  let width = 0
  return {
    async write({ path, embedding }) {
      if (!embedding) return
      const { buffer, byteOffset, byteLength } = embedding
      await part.append(Buffer.from(buffer, byteOffset, byteLength))
      names.push(path)
      width = embedding.length
    },
    finish: () => part.finish(embeddingsHeader(names, width, room)),
    stop: () => part.stop(false),
  }
}

function embeddingsHeader(names: readonly string[], width: number, length?: number): Buffer {
  const tensor = { name: 'embeddings', dtype: 'F32' as const, shape: [names.length, width] }
  return safetensorsHeader([tensor], { names: JSON.stringify(names) }, length)
}

class Part {
  #isFinished = false

  private constructor(
    readonly target: string,
    readonly path: string,
    readonly file: FileHandle,
  ) {}

  static async open(target: string): Promise<Part> {
    const path = `${target}.part`
    // What a stopped call has left is of use, and so is another file of that name.
    for (const there of [target, path]) refuseExisting('predict', there)
    return new Part(target, path, await open(path, 'wx').catch(notWritten(path)))
  }

  append(bytes: Buffer): Promise<void> {
    return this.file.appendFile(bytes).catch(notWritten(this.path))
  }

  /** `start`: in place of the bytes that it begins with. */
  async finish(start?: Buffer): Promise<void> {
    try {
      await this.file.close()
      if (start) {
        const file = await open(this.path, 'r+')
        await file.writeFile(start).finally(() => file.close())
      }
      await rename(this.path, this.target)
      this.#isFinished = true
    } catch (cause) {
      notWritten(this.target)(cause)
    }
  }

  async stop(isOfUse: boolean): Promise<string | undefined> {
    if (this.#isFinished) return undefined
    await this.file.close()
    if (isOfUse) return this.path
    await rm(this.path, { force: true })
    return undefined
  }
}

function notWritten(path: string) {
  return (cause: unknown): never => {
    const reason = systemReason(cause, 'Make its folder first.')
    throw new McLossError('E_IO', `predict: ${path} cannot be written: ${reason}`, { cause })
  }
}
