// Downloads that go wrong are refused and leave nothing behind; a right one moves into place whole.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { download } from '../../scripts/setup/download.mjs'
import { fetchLibtorch, type Way } from '../../scripts/setup/fetch-libtorch.mjs'
import { temporaryFolder, writeFile } from '../support/folders.js'
import { makeZip, wheelEntries, type ZipEntry } from '../support/zip-writer.js'

const servers: Server[] = []
beforeEach(() => {
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  servers.push(server)
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/wheel`
}

function wheelOf(bytes: Buffer) {
  return {
    version: '2.13.0+cpu',
    requirement: 'torch==2.13.0+cpu',
    wheel: 'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl',
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    index: 'https://example.invalid/whl',
  }
}

/** Fetches `expected` from a server; the cache folder's names afterwards. */
async function fetchFrom(answer: RequestListener, expected: Buffer, stallMs = 60_000) {
  const url = await serve(answer)
  const cache = temporaryFolder()
  const wheel = wheelOf(expected)
  const get: Way['get'] = (folder) => download(url, join(folder, wheel.wheel), wheel, { stallMs })
  const ways = [{ name: 'the test server', get }]
  const outcome = await fetchLibtorch({ env: { XDG_CACHE_HOME: cache }, wheel, ways }).then(
    (libtorch) => ({ libtorch, error: undefined }),
    (error: Error) => ({ libtorch: undefined, error }),
  )
  return { ...outcome, left: readdirSync(join(cache, 'mcloss')) }
}

const good = makeZip(wheelEntries())

test('a right wheel: LibTorch alone is unpacked, nothing else stays', async () => {
  const { libtorch, left } = await fetchFrom((_, response) => response.end(good), good)
  expect(left).toEqual(['libtorch-2.13.0+cpu'])
  expect(libtorch).toMatchObject({ version: '2.13.0+cpu', source: 'cache', cuda: false })
  const path = libtorch?.path ?? ''
  expect(readdirSync(path).sort()).toEqual(['include', 'lib', 'licenses', 'version.py'])
  expect(readFileSync(join(path, 'lib/libtorch_cpu.so'))).toEqual(Buffer.alloc(100_000, 7))
})

const changed = Buffer.from(good)
changed[200] = (changed[200] ?? 0) ^ 1

test.each<[string, RequestListener, RegExp]>([
  ['too short', (_, response) => response.end(good.subarray(0, -1)), /expected \d+ bytes/],
  ['too long', (_, response) => response.end(Buffer.concat([good, good])), /more than \d+ bytes/],
  ['empty', (_, response) => response.end(), /received 0/],
  ['of another hash', (_, response) => response.end(changed), /expected SHA-256/],
  ['404', (_, response) => response.writeHead(404).end(good), /404/],
  ['500', (_, response) => response.writeHead(500).end(), /500/],
  [
    'cut off',
    (_, response) => {
      response.writeHead(200, { 'content-length': good.length })
      response.write(good.subarray(0, 500), () => response.destroy())
    },
    /terminated|aborted|closed/,
  ],
  ['stalled', (_, response) => void response.write(good.subarray(0, 500)), /no byte came/],
  ['silent', () => {}, /no byte came/],
  ['redirected to http', redirect(() => 'http://127.0.0.1:9/wheel'), /not to https/],
  ['redirected to a file', redirect(() => 'file:///etc/passwd'), /not to https/],
  ['redirected to itself', redirect(() => '/wheel'), /not to https/],
  ['redirected to nowhere', (_, response) => response.writeHead(302).end(), /302/],
])('a download that is %s is refused', async (_, answer, reason) => {
  const stallMs = reason.test('no byte came') ? 500 : undefined
  const { error, left } = await fetchFrom(answer, good, stallMs)
  expect(error).toMatchObject({ code: 'E_SETUP', message: expect.stringMatching(reason) })
  expect(left).toEqual([])
})

function redirect(location: () => string): RequestListener {
  return (_, response) => response.writeHead(302, { location: location() }).end()
}

test.each<[string, Buffer, RegExp]>([
  [
    'cut short',
    good.subarray(0, good.length - 30),
    /End of central directory record signature not found/,
  ],
  [
    'no zip file',
    Buffer.from('<html>not found</html>'),
    /End of central directory record signature not found/,
  ],
  ['with an absolute name', withEntry({ name: '/torch/lib/a' }), /could leave/],
  ['with a name that leaves', withEntry({ name: 'torch/lib/../../../a' }), /could leave/],
  ['with a link', withEntry({ name: 'torch/lib/x', mode: 0o120777 }), /no regular file/],
  ['with a bad CRC', withEntry({ name: 'torch/lib/x', claims: { crc: 7 } }), /CRC-32/],
  [
    'with a bomb',
    withEntry({ name: 'torch/lib/x', content: Buffer.alloc(1e6), claims: { size: 9 } }),
    /too many bytes.* expected 9\./,
  ],
  ['without LibTorch', makeZip([{ name: 'torch/version.py', content: 'x' }]), /holds no LibTorch/],
])('a wheel %s, of the right size and hash, is refused', async (_, bytes, reason) => {
  const { error, left } = await fetchFrom((_request, response) => response.end(bytes), bytes)
  expect(error).toMatchObject({ code: 'E_SETUP', message: expect.stringMatching(reason) })
  expect(left).toEqual([])
})

function withEntry(entry: ZipEntry) {
  return makeZip([...wheelEntries(), entry])
}

test('the ways are tried in order; a wheel of the wrong hash sends it to the next', async () => {
  const cache = temporaryFolder()
  const wheel = wheelOf(good)
  const tried: string[] = []
  const way = (name: string, content?: Buffer): Way => ({
    name,
    get: async (folder) => {
      tried.push(name)
      if (!content) throw new Error(`no ${name} here`)
      writeFileSync(join(folder, wheel.wheel), content)
    },
  })
  const options = { env: { XDG_CACHE_HOME: cache }, wheel }

  const failing = [way('first'), way('second', changed)]
  await expect(fetchLibtorch({ ...options, ways: failing })).rejects.toThrow(
    /first: no first here\n.*second: expected SHA-256[\s\S]*What to do:\n {2}1\. /,
  )
  tried.length = 0
  await fetchLibtorch({ ...options, ways: [...failing, way('third', good), way('fourth', good)] })
  expect(tried).toEqual(['first', 'second', 'third'])

  // There already: nothing is fetched; with force it is, and replaced.
  tried.length = 0
  await fetchLibtorch({ ...options, ways: failing })
  expect(tried).toEqual([])
  const marker = join(cache, 'mcloss/libtorch-2.13.0+cpu/marker')
  writeFileSync(marker, '')
  await expect(fetchLibtorch({ ...options, ways: failing, force: true })).rejects.toThrow()
  expect(existsSync(marker)).toBe(true)
  await fetchLibtorch({ ...options, ways: [way('again', good)], force: true })
  expect(existsSync(marker)).toBe(false)
})

test('a download goes by the proxy that the environment names', async () => {
  const asked: string[] = []
  const proxy = await serve((request, response) => {
    asked.push(request.url ?? '')
    response.end(good)
  })
  vi.stubEnv('http_proxy', new URL(proxy).origin)
  vi.stubEnv('no_proxy', '')
  const path = join(temporaryFolder(), 'wheel')
  await download('http://download.invalid/wheel', path, wheelOf(good))
  expect(asked).toEqual(['http://download.invalid/wheel'])
  expect(readFileSync(path)).toEqual(good)
})

test('two fetches at once: both end well, one copy stays', async () => {
  const cache = temporaryFolder()
  const wheel = wheelOf(good)
  const get: Way['get'] = async (folder) => writeFileSync(join(folder, wheel.wheel), good)
  const options = { env: { XDG_CACHE_HOME: cache }, wheel, ways: [{ name: 'local', get }] }
  const [one, two] = await Promise.all([fetchLibtorch(options), fetchLibtorch(options)])
  expect(one).toEqual(two)
  expect(readdirSync(join(cache, 'mcloss'))).toEqual(['libtorch-2.13.0+cpu'])
})

test('what a killed fetch left is removed after a day', async () => {
  const cache = temporaryFolder()
  const old = join(cache, 'mcloss/libtorch-2.13.0+cpu.part-aaaaaa')
  const fresh = join(cache, 'mcloss/libtorch-2.13.0+cpu.part-bbbbbb')
  for (const folder of [old, fresh]) writeFile(join(folder, 'half'))
  utimesSync(old, 1e9, 1e9)
  await expect(
    fetchLibtorch({ env: { XDG_CACHE_HOME: cache }, wheel: wheelOf(good), ways: [] }),
  ).rejects.toThrow()
  expect(existsSync(old)).toBe(false)
  expect(existsSync(fresh)).toBe(true)
})
