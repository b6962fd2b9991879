// @ts-check
// One file by https, checked: size while it arrives, size and SHA-256 at the end.

import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fetchThroughProxy } from './proxy.mjs'
import { reasonOf, SetupError } from './setup-error.mjs'

const redirectLimit = 5

/** @typedef {{size: number, sha256: string}} Expected */

/**
 * Leaves the whole, verified file at `path`, or nothing.
 * @param {string} url
 * @param {string} path
 * @param {Expected} expected
 * @param {{stallMs?: number}} [options] stallMs: give up after so long without a byte
 */
export async function download(url, path, expected, { stallMs = 60_000 } = {}) {
  const abort = new AbortController()
  const stalled = () => abort.abort(new SetupError(`no byte came for ${stallMs / 1000} s`))
  let timer = setTimeout(stalled, stallMs)
  let received = 0
  const watch = new Transform({
    transform(bytes, _encoding, done) {
      clearTimeout(timer)
      timer = setTimeout(stalled, stallMs)
      received += bytes.length
      const tooLong = received > expected.size
      done(tooLong ? new SetupError(`more than ${expected.size} bytes came`) : null, bytes)
    },
  })
  try {
    const response = await follow(url, abort.signal)
    const body = Readable.fromWeb(/** @type {any} */ (response.body))
    await pipeline(body, watch, createWriteStream(path), { signal: abort.signal })
    await verify(path, expected)
  } catch (error) {
    await rm(path, { force: true })
    throw new SetupError(`${url}: ${causeOf(abort.signal.aborted ? abort.signal.reason : error)}`)
  } finally {
    clearTimeout(timer)
  }
}

/** fetch says only 'fetch failed'; what failed is in its cause. @param {unknown} error */
function causeOf(error) {
  const cause = error instanceof Error ? error.cause : undefined
  return cause ? `${reasonOf(error)} (${reasonOf(cause)})` : reasonOf(error)
}

/** A redirect may lead to https only. @param {string} url @param {AbortSignal} signal */
async function follow(url, signal) {
  let next = url
  for (let redirects = 0; redirects <= redirectLimit; redirects++) {
    const response = await fetchThroughProxy(next, { redirect: 'manual', signal })
    if (response.status === 200 && response.body) return response
    await response.body?.cancel()
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || !location) {
      throw new SetupError(`the server answered ${response.status} ${response.statusText}`)
    }
    next = new URL(location, next).href
    if (!next.startsWith('https://')) throw new SetupError(`redirected to ${next}, not to https`)
  }
  throw new SetupError(`redirected more than ${redirectLimit} times`)
}

/**
 * @param {string} path
 * @param {Expected} expected
 * @throws {SetupError} when size or SHA-256 differ
 */
export async function verify(path, expected) {
  const { size } = await stat(path)
  if (size !== expected.size) {
    throw new SetupError(`expected ${expected.size} bytes but received ${size}`)
  }
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const sha256 = hash.digest('hex')
  if (sha256 !== expected.sha256) {
    throw new SetupError(`expected SHA-256 ${expected.sha256} but received ${sha256}`)
  }
}
