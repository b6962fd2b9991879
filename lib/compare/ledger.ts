// The finished runs of a comparison: OUT/NAME.jsonl, a line each, only ever appended to. It holds no
// path, so that it can be committed.

import { open, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { McLossError, reasonOf } from '../errors.js'
import { systemReason, unlessMissing } from '../files/system-errors.js'
import { textOf } from '../files/text.js'
import { keyOf } from './entries.js'

const share = z.number().min(0).max(1)
const result = z.object({
  /** Of the recipe. */
  hash: z.string(),
  seed: z.int(),
  kind: z.enum(['trial', 'figure']),
  /** For whoever reads the file. */
  label: z.string(),
  /** Left out for a run whose figures are not finite: its recipe would end so again. */
  figures: z
    .object({ top1: share, top5: share, loss: z.number(), meanPerClass: share, n: z.int() })
    .optional(),
  error: z.literal('E_NUMERICS').optional(),
  /** Of the processor, of all threads. */
  seconds: z.number(),
  /** The largest resident set of the process. */
  peakBytes: z.number(),
  versions: z.object({ mcloss: z.string(), libtorch: z.string(), node: z.string() }),
  machine: z.object({ processor: z.string(), cores: z.int(), threads: z.int() }),
})
export type Result = z.output<typeof result>
export type Outcome = Omit<Result, 'hash' | 'seed' | 'kind' | 'label'>

export class Ledger {
  /** What was wrong with the last line, if the file did not end with a whole one. */
  readonly notice: string | undefined
  readonly #path: string
  readonly #results: Map<string, Result>

  private constructor(path: string, results: Map<string, Result>, notice: string | undefined) {
    this.#path = path
    this.#results = results
    this.notice = notice
  }

  /**
   * Reads the file, if it is there. A last line without an end, which a kill or a full disk has left,
   * is taken off.
   *
   * @throws McLossError E_IO; E_DATA for another line that is none of ours.
   */
  static async open(path: string): Promise<Ledger> {
    const bytes = await unlessMissing(readFile(path), 'E_IO', `compare: ${path} cannot be read`)
    const whole = bytes?.subarray(0, bytes.lastIndexOf(0x0a) + 1) ?? Buffer.alloc(0)
    const isTorn = bytes !== undefined && whole.length < bytes.length
    const text = textOf(whole, { file: path, reader: 'compare', code: 'E_DATA' })
    const results = new Map<string, Result>()
    for (const [at, line] of text.split('\n').slice(0, -1).entries()) {
      const found = resultIn(path, at + 1, line)
      if (!results.has(keyOf(found))) results.set(keyOf(found), found)
    }
    if (!isTorn) return new Ledger(path, results, undefined)
    await written(path, async (file) => file.truncate(whole.length))
    const notice =
      `compare: the last line of ${path} was not whole, as a kill in the middle of writing leaves ` +
      'it; it was taken off, and its run is done again.'
    return new Ledger(path, results, notice)
  }

  find(run: { hash: string; seed: number }): Result | undefined {
    return this.#results.get(keyOf(run))
  }

  /** On the disk when it returns. */
  async append(result: Result): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(result)}\n`)
    await written(this.#path, (file) => file.appendFile(line))
    this.#results.set(keyOf(result), result)
  }
}

function resultIn(path: string, at: number, line: string): Result {
  try {
    return result.parse(JSON.parse(line))
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : reasonOf(cause)
    throw new McLossError(
      'E_DATA',
      `compare: expected line ${at} of ${path} to be a finished run, but received ` +
        `'${line.slice(0, 60)}' (${reason}). Take the line out: its run is then done again.`,
      { cause },
    )
  }
}

async function written(
  path: string,
  write: (file: Awaited<ReturnType<typeof open>>) => Promise<unknown>,
): Promise<void> {
  try {
    const file = await open(path, 'a+')
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw new McLossError(
      'E_IO',
      `compare: ${path} cannot be written: ${systemReason(cause)} Then start again: finished runs ` +
        'are kept.',
      { cause },
    )
  }
}
