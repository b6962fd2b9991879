// What the dashboard answers: five addresses behind the token, and nothing else. No address names a file: a
// run has a number made of its path, and its maps have the number of their epoch.

import { timingSafeEqual } from 'node:crypto'
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { systemReason } from '../files/system-errors.js'
import { mapsFile, mapsFolder } from '../records/map-files.js'
import type { Clients } from './clients.js'
import type { FollowedRun } from './run.js'
import type { Watch } from './watch.js'

export interface Served {
  /** As Host names this server. */
  host: string
  token: string
  page: string
  watch: Watch
  clients: Clients
}

type Answer = (
  response: ServerResponse,
  served: Served,
  run: FollowedRun | undefined,
  rest: string,
) => void | Promise<void>

const MAP_BYTES = 50_000_000

const routes: [method: 'GET' | 'POST', path: RegExp, answer: Answer][] = [
  ['GET', /^$/, sendPage],
  ['GET', /^events$/, sendEvents],
  ['GET', /^runs\/([0-9a-f]{16})\/maps\/(\d{4,9})$/, sendMaps],
  ['POST', /^runs\/([0-9a-f]{16})\/stop$/, stopRun],
]

export function requestHandler(served: Served) {
  return (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response, served).catch((error) => {
      if (response.headersSent) response.destroy()
      else refuse(response, 500, systemReason(error))
    })
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, served: Served) {
  const { host, token, watch } = served
  for (const [name, value] of HEADERS) response.setHeader(name, value)
  request.resume() // nothing that is sent here is read
  const { host: named, origin } = request.headers
  if (named !== host) return refuse(response, 403, 'Another Host.')
  const isOwn = origin === `http://${host}`
  if (!isOwn && (origin !== undefined || request.method === 'POST')) {
    return refuse(response, 403, 'Another Origin.')
  }
  const [, given = '', path] = /^\/([^/]*)\/(.*)$/s.exec(request.url ?? '') ?? []
  if (!isSame(given, token) || path === undefined) return refuse(response, 403, 'Another token.')
  for (const [method, pattern, answerOf] of routes) {
    const [match, id, rest = ''] = pattern.exec(path) ?? []
    if (match === undefined) continue
    if (request.method !== method) {
      response.setHeader('allow', method)
      return refuse(response, 405, `Only ${method}.`)
    }
    const run = id === undefined ? undefined : watch.run(id)
    if (id !== undefined && !run) break
    return answerOf(response, served, run, rest)
  }
  refuse(response, 404, 'Nothing is there.')
}

/** Of every answer. The page's own policy says what its scripts may do. */
const HEADERS = [
  ['content-security-policy', "frame-ancestors 'none'"],
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['cache-control', 'no-store'],
] as const

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function refuse(response: ServerResponse, code: number, words: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
  response.end(`${words}\n`)
}

function sendPage(response: ServerResponse, { page }: Served): void {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
}

async function sendEvents(response: ServerResponse, { watch, clients }: Served): Promise<void> {
  if (clients.isFull) return refuse(response, 503, 'Too many pages are open.')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  clients.add(response, () => watch.snapshot)
}

/** What snapshots have named alone, of the run's own folder: no link leads out of it. */
async function sendMaps(
  response: ServerResponse,
  _: Served,
  run: FollowedRun | undefined,
  epoch: string,
): Promise<void> {
  const folder = run && (await realpath(mapsFolder(run.dir)).catch(() => undefined))
  const isOwn = run && folder === mapsFolder(await realpath(run.dir))
  if (!isOwn || !run.shownMaps.has(epoch)) return refuse(response, 404, 'No such maps.')
  const path = join(folder, mapsFile(epoch))
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch(() => undefined)
  if (!file) return refuse(response, 404, 'No such maps.')
  try {
    const info = await file.stat()
    if (!info.isFile() || info.size > MAP_BYTES) return refuse(response, 404, 'No such maps.')
    response.writeHead(200, { 'content-type': 'image/png' }).end(await file.readFile())
  } finally {
    await file.close()
  }
}

async function stopRun(response: ServerResponse, _: Served, run: FollowedRun | undefined) {
  if (!(await run?.stop())) return refuse(response, 409, 'The run does not go on.')
  response.writeHead(202).end()
}
