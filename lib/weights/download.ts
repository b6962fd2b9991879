// One file by http, into a part: it goes on from where the part ends if the server lets it, and it
// stops a server that sends nothing. What the bytes are worth is judged by the caller.

import { fetchThroughProxy } from '../../scripts/setup/proxy.mjs'
import { McLossError, reasonOf } from '../errors.js'
import { standIn } from './detect.js'
import type { Part } from './part.js'

const REDIRECTS = 5

export interface Download {
  url: string
  /** Sent to the address itself, never to where it redirects. */
  token?: string | undefined
  /** Gives up after so long without a byte, ms. */
  stallMs: number
  signal?: AbortSignal | undefined
  /** Before the first byte is written; throws if the file cannot be the wanted one. total: bytes. */
  onTotal: (total: number | undefined) => void
  onBytes: () => void
  /** The server sends the file from its beginning. */
  onRestart: () => void
}

/** @throws Error with the reason alone; E_ABORTED if the signal was given. */
export async function download(part: Part, options: Download): Promise<void> {
  const stalled = new AbortController()
  const { stallMs, signal } = options
  const reason = new Error(`no byte came for ${stallMs / 1000} s`)
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    timer = setTimeout(() => stalled.abort(reason), stallMs)
  }
  const either = AbortSignal.any([stalled.signal, ...(signal ? [signal] : [])])
  wait()
  try {
    // The disk may take its time.
    await receive(part, options, either, async (bytes) => {
      clearTimeout(timer)
      await part.append(bytes)
      wait()
    })
  } catch (cause) {
    if (signal?.aborted) {
      throw new McLossError('E_ABORTED', 'mcloss weights: stopped.', { cause })
    }
    throw stalled.signal.aborted ? stalled.signal.reason : new Error(causeOf(cause), { cause })
  } finally {
    clearTimeout(timer)
  }
}

async function receive(
  part: Part,
  options: Download,
  signal: AbortSignal,
  append: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let response = await follow(options, part.bytes, signal)
  if (response.status === 416) {
    await response.body?.cancel()
    options.onRestart()
    await part.restart()
    response = await follow(options, 0, signal)
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel()
    throw new Error(`the server answered ${response.status} ${response.statusText}`)
  }
  const from = response.status === 206 ? rangeOf(response) : { begin: 0, total: lengthOf(response) }
  if (from.begin !== 0 && from.begin !== part.bytes) {
    throw new Error(`asked for the bytes from ${part.bytes}, received those from ${from.begin}`)
  }
  options.onTotal(from.total)
  let restarts = from.begin === 0 && part.bytes > 0
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    if (from.begin === 0 && (restarts || part.bytes === 0)) refuse(bytes)
    if (restarts) {
      options.onRestart()
      await part.restart()
      restarts = false
    }
    await append(bytes)
    options.onBytes()
  }
  if (from.total !== undefined && part.bytes !== from.total) {
    throw new Error(`it ended after ${part.bytes} of ${from.total} bytes`)
  }
}

/** A page of a proxy or a login must not take the place of what is fetched already. */
function refuse(first: Uint8Array): void {
  const other = standIn(Buffer.from(first.subarray(0, 64)))
  if (other) throw new Error(`what came is ${other.what}`)
}

/** A redirect may not lead from https to http. */
async function follow(
  { url, token }: Download,
  begin: number,
  signal: AbortSignal,
): Promise<Response> {
  let next = url
  for (let redirects = 0; redirects <= REDIRECTS; redirects++) {
    const headers = {
      'accept-encoding': 'identity', // a compressed answer has no ranges of the file
      ...(begin > 0 && { range: `bytes=${begin}-` }),
      ...(token && redirects === 0 && { authorization: `Bearer ${token}` }),
    }
    const response = await fetchThroughProxy(next, { headers, redirect: 'manual', signal })
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || !location) return response
    await response.body?.cancel()
    const target = new URL(location, next)
    const kinds = next.startsWith('https:') ? ['https:'] : ['http:', 'https:']
    if (!kinds.includes(target.protocol)) {
      throw new Error(`redirected to ${target.href}, not to ${kinds.join(' or ')}`)
    }
    next = target.href
  }
  throw new Error(`redirected more than ${REDIRECTS} times`)
}

function rangeOf(response: Response): { begin: number; total: number | undefined } {
  const header = response.headers.get('content-range') ?? ''
  const [, begin, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header) ?? []
  if (begin === undefined) {
    throw new Error(`the server answered 206 with the Content-Range '${header}'`)
  }
  return { begin: Number(begin), total: total === '*' ? undefined : Number(total) }
}

function lengthOf({ headers }: Response): number | undefined {
  const length = headers.get('content-length')
  return length === null || headers.has('content-encoding') ? undefined : Number(length)
}

/** fetch says only 'fetch failed'; what failed is in its cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause ? `${reasonOf(error)} (${reasonOf(cause)})` : reasonOf(error)
}
