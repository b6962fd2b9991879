// One file of weights from wherever it is: already fetched, in a cache of torch or Hugging Face, a
// file given by hand, the network. It gets its name only when its size and SHA-256 are right.

import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { variable } from '../../scripts/setup/environment.mjs'
import { McLossError, reasonOf } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { type Copy, copiesElsewhere, fileNameOf, names, weightsFolder } from './cache.js'
import { digestOf } from './digest.js'
import { download } from './download.js'
import { type Expected, isExpectedSize, largest, problemOf } from './expected.js'
import { mirrored, tokenFor } from './mirror.js'
import { Part } from './part.js'
import { type WeightRecord, weightRecord } from './records.js'

const STALL_MS = 60_000
const PROGRESS_MS = 200

export interface FetchOptions {
  /** Whole, in hex. A URL needs it, and so does a record without one. */
  sha256?: string | undefined
  /** Default: weightsFolder(). */
  to?: string | undefined
  /** The file, fetched by hand. */
  from?: string | undefined
  /** No request is made. HF_HUB_OFFLINE=1 is the same. */
  offline?: boolean | undefined
  signal?: AbortSignal | undefined
  /** Gives up after so long without a byte, ms. */
  stallMs?: number
  onEvent?: (event: FetchEvent) => void
}

export type FetchEvent =
  | { type: 'start'; url: string; target: string }
  /** A copy elsewhere that is not the file. */
  | { type: 'passed'; path: string; reason: string }
  | { type: 'copy'; path: string }
  /** Goes on after what an earlier fetch has left. */
  | { type: 'resume'; bytes: number }
  | { type: 'restart'; reason: string }
  | { type: 'progress'; bytes: number; total: number | undefined; seconds: number }

export interface Fetched {
  path: string
  bytes: number
  /** Whole; recorded in PATH.sha256 too. */
  sha256: string
  /** Where from. */
  origin: 'there already' | 'copied' | 'fetched'
}

interface Wanted {
  url: string
  record?: WeightRecord | undefined
  target: string
  expected: Expected
}

/**
 * @param source the name of a record, or a URL
 * @throws McLossError E_USAGE before any request; E_IO; E_WEIGHTS for other bytes; E_ABORTED
 */
export async function fetchWeights(source: string, options: FetchOptions = {}): Promise<Fetched> {
  const wanted = wantedFile(source, options)
  const { url, target, expected } = wanted
  const onEvent = options.onEvent ?? (() => {})
  onEvent({ type: 'start', url, target })
  return asErrors(target, async () => {
    const there = await fetchedBefore(target, expected)
    if (there) return there
    const part = await Part.begin(target)
    try {
      const origin = await fill(part, wanted, { ...options, onEvent })
      const { bytes, sha256 } = part.digest()
      await part.finish()
      await recordHash(target, sha256)
      return { path: target, bytes, sha256, origin }
    } catch (error) {
      await part.leave()
      throw error
    }
  })
}

/** Judged by the hash that was recorded when it was fetched, if there is none else. */
async function fetchedBefore(target: string, expected: Expected): Promise<Fetched | undefined> {
  if (!existsSync(target)) return undefined
  const file = await digestOf(target)
  const record = await readFile(`${target}.sha256`, 'utf8').catch(() => '')
  const recorded = /^[0-9a-f]{64}/.exec(record)?.[0] ?? null
  const own = expected.sha256 ?? recorded
  const sure = recorded && own && recorded.startsWith(own) ? recorded : own
  const problem = sure ? problemOf({ ...expected, sha256: sure }, file) : 'its SHA-256 is not known'
  if (problem === undefined) {
    if (!recorded) await recordHash(target, file.sha256)
    return { path: target, bytes: file.bytes, sha256: file.sha256, origin: 'there already' }
  }
  throw new McLossError(
    'E_WEIGHTS',
    `weights: ${target} is there, but it is not the file: ${problem}. It is left as it is: move it ` +
      'away, or name another folder with --to.',
  )
}

/** As sha256sum has it, so that `sha256sum -c` reads it too. */
function recordHash(target: string, sha256: string): Promise<void> {
  return writeFile(`${target}.sha256`, `${sha256}  ${basename(target)}\n`)
}

type Filling = FetchOptions & { onEvent: (event: FetchEvent) => void }

async function fill(part: Part, wanted: Wanted, options: Filling): Promise<Fetched['origin']> {
  const { expected, url, record } = wanted
  if (options.from !== undefined) {
    if (expected.sha256 === null) throw hashNeeded(wanted)
    options.onEvent({ type: 'copy', path: options.from })
    const problem = await copied(part, { path: options.from, sha256: null }, wanted, options)
    if (problem === undefined) return 'copied'
    throw new McLossError('E_WEIGHTS', `weights: ${options.from} is not the file: ${problem}.`)
  }
  for (const copy of await copiesElsewhere(url, record)) {
    const problem = await copied(part, copy, wanted, options)
    if (problem === undefined) {
      options.onEvent({ type: 'copy', path: copy.path })
      return 'copied'
    }
    options.onEvent({ type: 'passed', path: copy.path, reason: problem })
  }
  if (expected.sha256 === null) throw hashNeeded(wanted)
  await part.adopt()
  // An earlier fetch may have been killed just before the last step.
  if (problemOf(expected, part.digest()) === undefined) return 'fetched'
  if (isOffline(options)) {
    throw new McLossError(
      'E_IO',
      `weights: ${url} is in no cache here, and offline nothing is requested. Fetch it by hand on ` +
        'another machine and pass it with --from FILE.',
    )
  }
  await request(part, wanted, options)
  return 'fetched'
}

/** Fills the part; else the reason why not, and the part is empty again. */
async function copied(part: Part, copy: Copy, { expected }: Wanted, { signal }: Filling) {
  const sha256 = expected.sha256 ?? copy.sha256
  if (sha256 === null) return 'its SHA-256 is not known; pass --sha256 HEX'
  await part.appendFile(copy.path, signal)
  const problem = problemOf({ ...expected, sha256 }, part.digest())
  if (problem !== undefined) await part.restart()
  return problem
}

async function request(part: Part, wanted: Wanted, options: Filling): Promise<void> {
  const { url, expected } = wanted
  let mixed = part.bytes > 0
  if (mixed) options.onEvent({ type: 'resume', bytes: part.bytes })
  const restart = (reason: string) => {
    mixed = false
    options.onEvent({ type: 'restart', reason })
  }
  await receive(part, wanted, options, restart)
  if (mixed && problemOf(expected, part.digest()) !== undefined) {
    restart('what an earlier fetch left is not of this file')
    await part.restart()
    await receive(part, wanted, options, restart)
  }
  const problem = problemOf(expected, part.digest())
  if (problem === undefined) return
  await part.restart()
  throw new McLossError('E_WEIGHTS', `weights: ${url} is not the file: ${problem}. None is kept.`)
}

async function receive(
  part: Part,
  { url, expected }: Wanted,
  { signal, stallMs = STALL_MS, onEvent }: Filling,
  restart: (reason: string) => void,
): Promise<void> {
  const began = performance.now()
  let shown = began
  let total: number | undefined
  const refuseSize = (bytes: number) => {
    throw new Error(`expected ${expected.mebibytes} MiB, but the server gives ${bytes} bytes`)
  }
  const onTotal = (bytes: number | undefined) => {
    total = bytes
    if (bytes !== undefined && !isExpectedSize(expected, bytes)) refuseSize(bytes)
  }
  const onBytes = () => {
    const { bytes } = part
    if (total === undefined && bytes > largest(expected)) refuseSize(bytes)
    const now = performance.now()
    if (now - shown < PROGRESS_MS) return
    shown = now
    onEvent({ type: 'progress', bytes, total, seconds: (now - began) / 1000 })
  }
  const onRestart = () => restart('the server sends the file from its beginning')
  try {
    const token = tokenFor(url)
    await download(part, { url, token, stallMs, signal, onTotal, onBytes, onRestart })
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    const again =
      part.bytes > 0
        ? `${part.bytes} bytes are kept: run it again to go on after them`
        : 'Run it again'
    throw new McLossError(
      'E_IO',
      `weights: ${url} could not be fetched: ${reasonOf(cause)}. ${again}, or fetch the file by hand ` +
        'and pass it with --from FILE.',
      { cause },
    )
  }
}

// ---- what is asked for ----

function wantedFile(source: string, { sha256, to = weightsFolder() }: FetchOptions): Wanted {
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw usage(`--sha256 takes the 64 hex digits of a SHA-256; received '${sha256}'`)
  }
  const hash = sha256?.toLowerCase() ?? null
  const record = weightRecord(source)
  if (record) {
    if (hash !== null && !hash.startsWith(record.sha256 ?? '')) {
      throw usage(`the SHA-256 of ${source} begins with ${record.sha256}; received ${hash}`)
    }
    const expected = { sha256: hash ?? record.sha256, mebibytes: record.mebibytes }
    const target = resolve(to, fileNameOf(record))
    return { url: mirrored(record.url), record, target, expected }
  }
  if (!/^https?:\/\//.test(source) || !URL.canParse(source)) {
    throw usage(`expected a URL or one of ${names()}; received '${source}'`)
  }
  if (hash === null) throw usage(`${source} needs its SHA-256: --sha256 HEX`)
  const url = new URL(source)
  const name = basename(url.pathname)
  if (name === '') throw usage(`${source} names no file`)
  return { url: url.href, target: resolve(to, name), expected: { sha256: hash, mebibytes: null } }
}

const usage = (problem: string) => new McLossError('E_USAGE', `mcloss weights fetch: ${problem}.`)

function hashNeeded({ record, url }: Wanted): McLossError {
  return usage(
    `no SHA-256 of ${record?.name} is known here. Look it up on the file's page, ` +
      `${url.replace('/resolve/', '/blob/')}, and pass it with --sha256 HEX`,
  )
}

function isOffline({ offline }: FetchOptions): boolean {
  return offline === true || /^(1|on|yes|true)$/i.test(variable('HF_HUB_OFFLINE'))
}

/** What the file system says, in a sentence. */
async function asErrors<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    if (cause instanceof Error && cause.name === 'AbortError') {
      throw new McLossError('E_ABORTED', 'mcloss weights: stopped.', { cause })
    }
    throw new McLossError('E_IO', `weights: ${target} is not made: ${systemReason(cause)}`, {
      cause,
    })
  }
}
