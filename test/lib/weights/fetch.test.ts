// A file of weights is there whole and right, or not at all; what came is kept for the next try.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type FetchEvent, type FetchOptions, fetchWeights } from '../../../lib/weights/fetch.js'
import {
  closeServers,
  cutOnce,
  redirect,
  serve,
  whole,
  withRanges,
} from '../../support/file-server.js'
import { temporaryFolder } from '../../support/folders.js'

const file = Buffer.alloc(300_000)
for (let at = 0; at < file.length; at++) file[at] = (at * 7919) >>> 5
const sha256 = hashOf(file)
const other = Buffer.from(file.map((byte) => byte ^ 1))

let home: string
let folder: string
let events: FetchEvent[]

beforeEach(() => {
  home = temporaryFolder()
  folder = join(home, 'weights')
  events = []
  const unset = [
    'XDG_CACHE_HOME',
    'TORCH_HOME',
    'HF_HOME',
    'HF_HUB_CACHE',
    'HF_ENDPOINT',
    'HF_TOKEN',
  ]
  unset.push('HF_HUB_OFFLINE', 'MCLOSS_WEIGHTS_URL')
  unset.push('HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy')
  for (const name of unset) vi.stubEnv(name, undefined)
  vi.stubEnv('HOME', home)
  vi.stubEnv('MCLOSS_WEIGHTS_DIR', folder)
})

afterEach(() => {
  vi.unstubAllEnvs()
  closeServers()
})

function hashOf(bytes: Buffer) {
  return createHash('sha256').update(bytes).digest('hex')
}

const get = (source: string, options: FetchOptions = {}) =>
  fetchWeights(source, { sha256, onEvent: (event) => events.push(event), ...options })

const refused = (source: string, options: FetchOptions = {}) =>
  get(source, options).then(
    () => expect.unreachable(`${source} was taken`),
    (error) => error,
  )

const left = () => (existsSync(folder) ? readdirSync(folder).sort() : [])

test('a right file: its address and place are said first, its hash is kept, nothing else stays', async () => {
  const { url, asked } = await serve(whole(file))
  const target = join(folder, 'a.pth')
  const fetched = await get(`${url}/models/a.pth?signature=x`)
  expect(fetched).toEqual({ path: target, bytes: file.length, sha256, origin: 'fetched' })
  expect(events[0]).toEqual({ type: 'start', url: `${url}/models/a.pth?signature=x`, target })
  expect(readFileSync(target)).toEqual(file)
  expect(readFileSync(`${target}.sha256`, 'utf8')).toBe(`${sha256}  a.pth\n`)
  expect(left()).toEqual(['a.pth', 'a.pth.sha256'])
  expect(await get(`${url}/models/a.pth`)).toMatchObject({ origin: 'there already' })
  expect(asked).toHaveLength(1)
})

test('what was cut off is gone on with by Range', async () => {
  const { url, asked } = await serve(cutOnce(file, 100_000, () => arrived(100_000)))
  const error = await refused(`${url}/a.pth`)
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringMatching(/ bytes are kept/) })
  expect(left()).toEqual([expect.stringMatching(/^a\.pth\.\d+-[0-9a-f]{8}\.part$/)])
  const kept = readFileSync(join(folder, left()[0] ?? ''))
  expect(kept).toEqual(file.subarray(0, 100_000))

  await get(`${url}/a.pth`)
  expect(asked.map(({ range }) => range)).toEqual([undefined, `bytes=100000-`])
  expect(events).toContainEqual({ type: 'resume', bytes: 100_000 })
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)
  expect(left()).toEqual(['a.pth', 'a.pth.sha256'])
})

/** As a killed process leaves it; no process has this number. */
function leavePart(bytes: Buffer) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'a.pth.4194999-0123abcd.part'), bytes)
}

test.each<[string, Buffer, RequestListener]>([
  ['from a server without ranges', file.subarray(0, 9000), whole(file)],
  ['when it is longer than the file', Buffer.concat([file, file]), withRanges(file)],
  ['when it is of another file', other.subarray(0, 9000), withRanges(file)],
])('what is left is dropped %s', async (_, bytes, answer) => {
  leavePart(bytes)
  const { url } = await serve(answer)
  await get(`${url}/a.pth`)
  expect(events.map(({ type }) => type)).toContain('restart')
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)
  expect(left()).toEqual(['a.pth', 'a.pth.sha256'])
})

test('a part that is whole needs no request, not even offline', async () => {
  leavePart(file)
  await get('http://127.0.0.1:9/a.pth', { offline: true })
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)
})

test('the part of a running process is copied and left to it', async () => {
  mkdirSync(folder, { recursive: true })
  const theirs = join(folder, `a.pth.${process.ppid}-0123abcd.part`)
  writeFileSync(theirs, file.subarray(0, 9000))
  const { url, asked } = await serve(withRanges(file))
  await get(`${url}/a.pth`)
  expect(asked[0]?.range).toBe('bytes=9000-')
  expect(readFileSync(theirs)).toEqual(file.subarray(0, 9000))
})

const page = Buffer.from('<!DOCTYPE html><html><body>Please log in</body></html>')
const pointer = Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\n`)

test.each<[string, RequestListener, string, RegExp]>([
  ['of another hash', whole(other), 'E_WEIGHTS', /expected a SHA-256 of [0-9a-f]{64}, received/],
  ['empty', whole(Buffer.alloc(0)), 'E_WEIGHTS', /SHA-256/],
  ['an HTML page', whole(page), 'E_IO', /a web page/],
  ['a Git LFS pointer', whole(pointer), 'E_IO', /a Git LFS pointer/],
  ['404', (_, response) => response.writeHead(404).end(file), 'E_IO', /404/],
  ['500', (_, response) => response.writeHead(500).end(), 'E_IO', /500/],
  ['redirected to a file', redirect('file:///etc/passwd'), 'E_IO', /not to http: or https:/],
  ['redirected to itself', redirect('/a.pth'), 'E_IO', /redirected more than 5 times/],
  ['redirected to nowhere', (_, response) => response.writeHead(302).end(), 'E_IO', /302/],
  [
    'from another byte than asked for',
    (_, response) => response.writeHead(206, { 'content-range': 'bytes 7-9/10' }).end('abc'),
    'E_IO',
    /asked for the bytes from 0, received those from 7/,
  ],
])('an answer that is %s leaves nothing', async (_, answer, code, reason) => {
  const { url } = await serve(answer)
  const error = await refused(`${url}/a.pth`)
  expect(error).toMatchObject({ code, message: expect.stringMatching(reason) })
  expect(left()).toEqual([])
})

test('a silent server is given up', async () => {
  const { url } = await serve(() => {})
  const error = await refused(`${url}/a.pth`, { stallMs: 500 })
  expect(error).toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/no byte came for 0.5/),
  })
  expect(left()).toEqual([])
})

test('one that falls silent is given up, and what came is kept', async () => {
  const { url } = await serve((_, response) => void response.write(file.subarray(0, 500)))
  const error = await refused(`${url}/a.pth`, { stallMs: 5000 })
  expect(error).toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/no byte came for 5 s/),
  })
  expect(readFileSync(join(folder, left()[0] ?? ''))).toEqual(file.subarray(0, 500))
})

test('a page in place of the rest does not take what is fetched', async () => {
  leavePart(file.subarray(0, 9000))
  const { url } = await serve(whole(page))
  expect((await refused(`${url}/a.pth`)).message).toMatch(/a web page/)
  expect(left()).toHaveLength(1)
  expect(readFileSync(join(folder, left()[0] ?? ''))).toEqual(file.subarray(0, 9000))
})

test('the published size is held against the length before a byte is kept', async () => {
  const { url, asked } = await serve(whole(file))
  vi.stubEnv('MCLOSS_WEIGHTS_URL', `${url}/mirror/`)
  const error = await refused('resnet18.tv_in1k', { sha256: undefined })
  expect(error.message).toMatch(/expected 44.661 MiB, but the server gives 300000 bytes/)
  expect(asked.map(({ path }) => path)).toEqual(['/mirror/models/resnet18-f37072fd.pth'])
  expect(left()).toEqual([])
})

test('a right length with a hash that begins otherwise is refused; so is an endless answer', async () => {
  const long = Buffer.alloc(Math.round(44.661 * 2 ** 20))
  const { url } = await serve(whole(long))
  vi.stubEnv('MCLOSS_WEIGHTS_URL', url)
  const error = await refused('resnet18.tv_in1k', { sha256: undefined })
  expect(error).toMatchObject({ code: 'E_WEIGHTS' })
  expect(error.message).toMatch(/expected a SHA-256 of f37072fd, received/)
  expect(left()).toEqual([])

  const endless = await serve((_, response) => {
    const more = () => {
      if (!response.destroyed) response.write(long.subarray(0, 2 ** 20), more)
    }
    more()
  })
  vi.stubEnv('MCLOSS_WEIGHTS_URL', endless.url)
  expect((await refused('resnet18.tv_in1k', { sha256: undefined })).message).toMatch(
    /expected 44.661 MiB, but the server gives/,
  )
})

test('a record without a known hash needs one, and takes HF_ENDPOINT and its own name', async () => {
  const { url, asked } = await serve(whole(file))
  vi.stubEnv('HF_ENDPOINT', url)
  const name = 'resnet18.a1_in1k'
  const error = await refused(name, { sha256: undefined })
  expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(/--sha256 HEX/) })
  expect(asked).toEqual([])
  const { path } = await get(name)
  expect(path).toBe(join(folder, 'resnet18.a1_in1k.safetensors'))
  expect(asked.map((one) => one.path)).toEqual([`/timm/${name}/resolve/main/model.safetensors`])
  // From now on the recorded hash is the one to hold it against.
  expect(await get(name, { sha256: undefined })).toMatchObject({ origin: 'there already' })
  writeFileSync(path, other)
  expect((await refused(name, { sha256: undefined })).code).toBe('E_WEIGHTS')
})

test('HF_TOKEN goes to HF_ENDPOINT alone, and not across a redirect', async () => {
  const elsewhere = await serve(whole(file))
  const hub = await serve((request, response) => {
    const target = request.url?.startsWith('/again') ? `${elsewhere.url}/blob` : '/again'
    redirect(target)(request, response)
  })
  vi.stubEnv('HF_ENDPOINT', hub.url)
  vi.stubEnv('HF_TOKEN', 'secret')
  await get('resnet18.a1_in1k')
  expect(hub.asked.map((one) => one.authorization)).toEqual(['Bearer secret', undefined])
  expect(elsewhere.asked.map((one) => one.authorization)).toEqual([undefined])

  const mirror = await serve(whole(file))
  vi.stubEnv('MCLOSS_WEIGHTS_URL', mirror.url)
  await get('resnet50.a1_in1k')
  expect(mirror.asked.map((one) => one.authorization)).toEqual([undefined])
})

test.each<[string, FetchOptions, string]>([
  ['--offline', { offline: true }, ''],
  ['HF_HUB_OFFLINE=1', {}, '1'],
])('%s: no request', async (_, options, offline) => {
  const { url, asked } = await serve(whole(file))
  vi.stubEnv('HF_HUB_OFFLINE', offline)
  const error = await refused(`${url}/a.pth`, options)
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringMatching(/--from FILE/) })
  expect(asked).toEqual([])
  expect(left()).toEqual([])
})

test("torch's cache is looked into first, and a wrong file there is passed over", async () => {
  const { url, asked } = await serve(whole(file))
  const checkpoints = join(home, '.cache/torch/hub/checkpoints')
  mkdirSync(checkpoints, { recursive: true })
  writeFileSync(join(checkpoints, 'a.pth'), file)
  expect(await get(`${url}/a.pth`, { offline: true })).toMatchObject({ origin: 'copied' })
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)

  vi.stubEnv('TORCH_HOME', join(home, 'torch'))
  mkdirSync(join(home, 'torch/hub/checkpoints'), { recursive: true })
  writeFileSync(join(home, 'torch/hub/checkpoints/b.pth'), other)
  expect(await get(`${url}/b.pth`)).toMatchObject({ origin: 'fetched' })
  expect(events.map(({ type }) => type)).toContain('passed')
  expect(asked).toHaveLength(1)
})

test.each([
  ['.cache/huggingface/hub', undefined, undefined],
  ['hf/hub', 'hf', undefined],
  ['hub', 'hf', 'hub'],
])(
  "Hugging Face's cache in %s: a blob is held against its own name",
  async (hub, hfHome, cache) => {
    vi.stubEnv('HF_HOME', hfHome && join(home, hfHome))
    vi.stubEnv('HF_HUB_CACHE', cache && join(home, cache))
    const model = join(home, hub, 'models--timm--resnet50.a1_in1k')
    mkdirSync(join(model, 'blobs'), { recursive: true })
    mkdirSync(join(model, 'snapshots/0123'), { recursive: true })
    symlinkSync(`../../blobs/${sha256}`, join(model, 'snapshots/0123/model.safetensors'))
    const options = { sha256: undefined, offline: true }

    writeFileSync(join(model, 'blobs', sha256), other)
    expect((await refused('resnet50.a1_in1k', options)).code).toBe('E_USAGE')
    writeFileSync(join(model, 'blobs', sha256), file)
    const fetched = await get('resnet50.a1_in1k', options)
    expect(fetched).toMatchObject({ origin: 'copied', sha256 })
    expect(readFileSync(fetched.path)).toEqual(file)
  },
)

test('a proxy is asked for the file', async () => {
  const proxy = await serve(whole(file))
  vi.stubEnv('HTTP_PROXY', proxy.url)
  await get('http://weights.invalid/a.pth')
  expect(proxy.asked.map(({ path }) => path)).toEqual(['http://weights.invalid/a.pth'])
  vi.stubEnv('HTTP_PROXY', 'proxy.example:8080')
  const error = await refused('http://weights.invalid/b.pth')
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringMatching(/HTTP_PROXY/) })
})

test('two at once: both have the whole file, and nothing else stays', async () => {
  const { url } = await serve(withRanges(file))
  const both = await Promise.all([get(`${url}/a.pth`), get(`${url}/a.pth`)])
  for (const { path } of both) expect(readFileSync(path)).toEqual(file)
  expect(left()).toEqual(['a.pth', 'a.pth.sha256'])
})

test('--from: a right file is copied, another is refused by name', async () => {
  const hand = join(home, 'downloaded')
  writeFileSync(hand, file)
  const url = 'http://127.0.0.1:9/a.pth'
  expect(await get(url, { from: hand, to: join(home, 'own') })).toMatchObject({
    path: join(home, 'own', 'a.pth'),
    origin: 'copied',
  })
  writeFileSync(hand, page)
  expect(await refused(url, { from: hand })).toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(/downloaded is not the file: it is a web page/),
  })
  expect((await refused(url, { from: join(home, 'none') })).code).toBe('E_IO')
  expect(left()).toEqual([])
})

test('another file in its place is left as it is', async () => {
  const { url, asked } = await serve(whole(file))
  mkdirSync(folder)
  writeFileSync(join(folder, 'a.pth'), other)
  const error = await refused(`${url}/a.pth`)
  expect(error).toMatchObject({ code: 'E_WEIGHTS', message: expect.stringMatching(/--to/) })
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(other)
  expect(asked).toEqual([])
})

test.each<[string, string, FetchOptions, RegExp]>([
  ['a URL without a hash', 'http://127.0.0.1:9/a.pth', { sha256: undefined }, /--sha256 HEX/],
  ['a short hash', 'http://127.0.0.1:9/a.pth', { sha256: 'f37072fd' }, /64 hex digits/],
  ['no hex', 'http://127.0.0.1:9/a.pth', { sha256: 'g'.repeat(64) }, /64 hex digits/],
  ['an unknown name', 'resnet51', {}, /resnet50\.tv_in1k/],
  ['another scheme', 'ftp://127.0.0.1/a.pth', {}, /expected a URL/],
  ['no file name', 'http://127.0.0.1:9/', {}, /names no file/],
  ["a hash that is not the record's", 'resnet18.tv_in1k', {}, /begins with f37072fd/],
])('%s is a wrong command line', async (_, source, options, reason) => {
  const error = await refused(source, options)
  expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringMatching(reason) })
  expect([events, left()]).toEqual([[], []])
})

test.each(['MCLOSS_WEIGHTS_URL', 'HF_ENDPOINT'])('%s that is no address is named', async (name) => {
  vi.stubEnv(name, 'mirror.example')
  const error = await refused('resnet18.a1_in1k')
  expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining(name) })
})

test('stopped by a signal: E_ABORTED, and what came is kept', async () => {
  const { url } = await serve((_, response) => void response.write(file.subarray(0, 500)))
  const controller = new AbortController()
  const running = refused(`${url}/a.pth`, { signal: controller.signal })
  await arrived(500)
  controller.abort()
  expect((await running).code).toBe('E_ABORTED')
  expect(partBytes()).toBe(500)
})

const arrived = (bytes: number) =>
  vi.waitFor(() => expect(partBytes()).toBe(bytes), { timeout: 60_000 })

const partBytes = () => left().map((name) => readFileSync(join(folder, name)).length)[0]
