// Which way a request takes is seen by a proxy that records what it is asked.

import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fetchThroughProxy } from '../../scripts/setup/proxy.mjs'

const variables = ['http_proxy', 'https_proxy', 'no_proxy']
const servers: Server[] = []
const sockets: Socket[] = []

beforeEach(() => {
  for (const name of variables) {
    vi.stubEnv(name, undefined)
    vi.stubEnv(name.toUpperCase(), undefined)
  }
})

afterEach(() => {
  vi.unstubAllEnvs()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return (server.address() as AddressInfo).port
}

/** Answers every request itself; lets no tunnel through. */
async function recordingProxy() {
  const asked: string[] = []
  const credentials: (string | undefined)[] = []
  const record = ({ method, url, headers }: IncomingMessage) => {
    asked.push(`${method} ${url}`)
    credentials.push(headers['proxy-authorization'])
  }
  const server = createServer((request, response) => {
    record(request)
    response.end('by the proxy')
  })
  server.on('connect', (request, socket) => {
    record(request)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  const port = await listen(server)
  return { asked, credentials, port, url: `http://127.0.0.1:${port}` }
}

const textOf = async (url: string) => (await fetchThroughProxy(url)).text()

test.each(['HTTP_PROXY', 'http_proxy'])('%s: an http address goes to the proxy', async (name) => {
  const proxy = await recordingProxy()
  vi.stubEnv(name, proxy.url)
  expect(await textOf('http://weights.invalid/a.bin')).toBe('by the proxy')
  expect(proxy.asked).toEqual(['GET http://weights.invalid/a.bin'])
})

test.each(['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY'])(
  '%s: https asks it for a tunnel',
  async (name) => {
    const proxy = await recordingProxy()
    vi.stubEnv(name, proxy.url)
    await expect(textOf('https://weights.invalid/a.bin')).rejects.toThrow()
    expect(proxy.asked).toEqual(['CONNECT weights.invalid:443'])
  },
)

test('the proxy for https is not asked for http', async () => {
  const proxy = await recordingProxy()
  vi.stubEnv('HTTPS_PROXY', proxy.url)
  const port = await listen(createServer((_, response) => response.end('direct')))
  expect(await textOf(`http://127.0.0.1:${port}/`)).toBe('direct')
  expect(proxy.asked).toEqual([])
})

test('through a tunnel the server itself answers', async () => {
  const server = createServer((_, response) => response.end('by the server'))
  const port = await listen(server)
  const asked: string[] = []
  const proxy = createServer().on('connect', (request, client: Socket) => {
    asked.push(`CONNECT ${request.url}`)
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.pipe(client).pipe(target)
    })
    sockets.push(client, target)
  })
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await listen(proxy)}`)
  // The server speaks no TLS: that its answer is refused as such shows whose answer it is.
  const error = await textOf('https://weights.invalid/').catch((reason) => reason)
  expect(asked).toEqual(['CONNECT weights.invalid:443'])
  expect(error.cause.code).toMatch(/SSL|TLS/)
})

test('small letters win, and empty ones mean no proxy', async () => {
  const [small, capitals] = [await recordingProxy(), await recordingProxy()]
  vi.stubEnv('HTTP_PROXY', capitals.url)
  vi.stubEnv('http_proxy', small.url)
  await textOf('http://weights.invalid/')
  expect([small.asked.length, capitals.asked.length]).toEqual([1, 0])
  vi.stubEnv('http_proxy', '')
  const port = await listen(createServer((_, response) => response.end('direct')))
  expect(await textOf(`http://127.0.0.1:${port}/`)).toBe('direct')
})

test.each([
  ['NO_PROXY', '127.0.0.1'],
  ['no_proxy', 'weights.invalid, 127.0.0.1'],
  ['NO_PROXY', '*'],
])('%s=%s: no proxy for it', async (name, value) => {
  const proxy = await recordingProxy()
  vi.stubEnv('HTTP_PROXY', proxy.url)
  vi.stubEnv(name, value)
  const port = await listen(createServer((_, response) => response.end('direct')))
  expect(await textOf(`http://127.0.0.1:${port}/`)).toBe('direct')
  expect(proxy.asked).toEqual([])
})

test('user and password go to the proxy, decoded', async () => {
  const proxy = await recordingProxy()
  vi.stubEnv('HTTP_PROXY', `http://anna:p%40ss@127.0.0.1:${proxy.port}`)
  await textOf('http://weights.invalid/')
  expect(proxy.credentials).toEqual([`Basic ${Buffer.from('anna:p@ss').toString('base64')}`])
})

test.each([
  ['HTTP_PROXY', 'proxy.example:8080'],
  ['https_proxy', 'socks5://anna:secret@proxy.example:1080'],
  ['HTTPS_PROXY', 'http://'],
  ['http_proxy', 'http://anna:100%@proxy.example'],
])('%s=%s is refused by its name, the value unsaid', async (name, value) => {
  vi.stubEnv(name, value)
  const error = await fetchThroughProxy('http://127.0.0.1:9/').catch((reason) => reason)
  expect(error).toMatchObject({ code: 'E_SETUP', message: expect.stringContaining(name) })
  expect(error.message).not.toContain('secret')
  expect(error.message).toContain('http://host:port')
})
