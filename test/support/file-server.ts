// A server of one file on this machine that records what it is asked, with the answers of servers
// that are not as they should be.

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  path: string
  range: string | undefined
  authorization: string | undefined
}

const servers: Server[] = []

export function closeServers(): void {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
}

/** Its address, without a slash at the end, and every request so far. */
export async function serve(answer: RequestListener): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const { url: path = '', headers } = request
    asked.push({ path, range: headers.range, authorization: headers.authorization })
    answer(request, response)
  })
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

export const whole =
  (bytes: Buffer): RequestListener =>
  (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  }

/** Every address leads to another. */
export const redirect =
  (location: string, status = 302): RequestListener =>
  (_, response) => {
    response.writeHead(status, { location }).end()
  }

/** As good servers do it: 206 from the byte asked for, 416 behind the end. */
export const withRanges =
  (bytes: Buffer): RequestListener =>
  (request, response) => {
    const begin = beginOf(request)
    if (begin === undefined) return whole(bytes)(request, response)
    if (begin >= bytes.length) {
      return response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    }
    const range = `bytes ${begin}-${bytes.length - 1}/${bytes.length}`
    const headers = { 'content-range': range, 'content-length': bytes.length - begin }
    response.writeHead(206, headers).end(bytes.subarray(begin))
  }

/** Breaks the connection of the first answer once `arrived` says so, and goes on well after that. */
export function cutOnce(
  bytes: Buffer,
  sent: number,
  arrived: () => Promise<unknown>,
  then = withRanges(bytes),
): RequestListener {
  let cut = false
  return (request, response) => {
    if (cut) return then(request, response)
    cut = true
    response.writeHead(200, { 'content-length': bytes.length })
    response.write(bytes.subarray(0, sent))
    arrived().finally(() => response.destroy())
  }
}

function beginOf({ headers }: IncomingMessage): number | undefined {
  const begin = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]
  return begin === undefined ? undefined : Number(begin)
}
