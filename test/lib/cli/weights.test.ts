// mcloss weights as a user meets it. Runs dist/cli/main.js itself.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { closeServers, serve, withRanges } from '../../support/file-server.js'
import { temporaryFolder } from '../../support/folders.js'

const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
const file = Buffer.alloc(500_000, 'weights ')
const sha256 = createHash('sha256').update(file).digest('hex')
const fields = 'name url bytes sha256 top1 mean std resize crop licence'.split(' ')

let home: string
let folder: string

beforeEach(() => {
  home = temporaryFolder()
  folder = join(home, '.cache/mcloss/weights')
})
afterEach(closeServers)

const child = (args: string[]) => ({
  args: ['weights', ...args],
  options: { cwd: home, env: { PATH: process.env.PATH, HOME: home } },
})

function weights(...given: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { args, options } = child(given)
  return new Promise((settle) => {
    execFile(cli, args, options, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

test('list: every field of every record, null for what is not known', async () => {
  const records = JSON.parse((await weights('list', '--json')).stdout)
  expect(records.map(({ name }: { name: string }) => name)).toEqual([
    ...['resnet18.tv_in1k', 'resnet18.a1_in1k', 'resnet50.tv_in1k', 'resnet50.tv2_in1k'],
    ...['resnet50.a1_in1k', 'vgg16.tv_in1k', 'vgg16_bn.tv_in1k'],
  ])
  for (const record of records) expect(Object.keys(record)).toEqual(fields)
  expect(records[3]).toEqual({
    name: 'resnet50.tv2_in1k',
    url: 'https://download.pytorch.org/models/resnet50-11ad3fa6.pth',
    bytes: null,
    sha256: '11ad3fa6',
    top1: 80.858,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    resize: 232,
    crop: 224,
    licence: null,
  })
  expect(records[4]).toMatchObject({ sha256: null, top1: null, resize: 288, crop: 288 })
  const { stdout } = await weights('list')
  expect(stdout.trim().split('\n')).toHaveLength(1 + records.length)
})

test('fetch says where from and where to before a byte comes', async () => {
  const { url } = await serve(withRanges(file))
  const { code, stdout, stderr } = await weights('fetch', `${url}/a.pth`, '--sha256', sha256)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const target = join(folder, 'a.pth')
  expect(stdout).toBe(
    `from  ${url}/a.pth\nto    ${target}\nfetched: 500000 bytes, SHA-256 ${sha256}\n${target}\n`,
  )
})

test('exit codes: 2 for a wrong command line, 1 for a file that does not come', async () => {
  const url = 'http://127.0.0.1:9/a.pth'
  expect(await weights('fetch', url)).toMatchObject({ code: 2, stdout: '' })
  expect(await weights('fetch', 'resnet51')).toMatchObject({ code: 2, stdout: '' })
  const offline = await weights('fetch', url, '--sha256', sha256, '--offline')
  expect(offline).toMatchObject({ code: 1, stderr: expect.stringMatching(/--from FILE/) })
  expect((await weights('inspect', 'none.pth')).code).toBe(1)
  expect((await weights('convert', 'none.pth', 'out.pth')).code).toBe(2)
})

/** The first answer stops half-way, and stays open. */
function haltOnce(): RequestListener {
  let halted = false
  return (request, response) => {
    if (halted) return withRanges(file)(request, response)
    halted = true
    response.writeHead(200, { 'content-length': file.length }).write(file.subarray(0, 200_000))
  }
}

async function whenHalf(): Promise<void> {
  await vi.waitFor(
    () => {
      const [part = ''] = readdirSync(folder)
      expect(statSync(join(folder, part)).size).toBe(200_000)
    },
    { timeout: 120_000 },
  )
}

function start(url: string): ChildProcess {
  const { args, options } = child(['fetch', `${url}/a.pth`, '--sha256', sha256])
  return spawn(cli, args, { ...options, stdio: 'ignore' })
}

test.each([
  ['SIGKILL', null],
  ['SIGINT', 130],
] as const)('after %s the next fetch goes on where it was', async (signal, code) => {
  const { url, asked } = await serve(haltOnce())
  const running = start(url)
  const ended = once(running, 'exit')
  await whenHalf()
  running.kill(signal)
  expect((await ended)[0]).toBe(code)

  const { stdout } = await weights('fetch', `${url}/a.pth`, '--sha256', sha256)
  expect(stdout).toContain('goes on after')
  expect(asked.map(({ range }) => range)).toEqual([undefined, 'bytes=200000-'])
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)
  expect(readdirSync(folder).sort()).toEqual(['a.pth', 'a.pth.sha256'])
})

test('two processes at once: the second takes a copy, and both end well', async () => {
  const { url } = await serve(haltOnce())
  const first = start(url)
  const ended = once(first, 'exit')
  await whenHalf()
  const second = await weights('fetch', `${url}/a.pth`, '--sha256', sha256)
  expect(second.code).toBe(0)
  const theirs = readdirSync(folder).filter((name) => name.endsWith('.part'))
  expect(theirs).toEqual([expect.stringContaining(`.${first.pid}-`)])
  first.kill('SIGKILL')
  await ended
  expect(readFileSync(join(folder, 'a.pth'))).toEqual(file)
})

test('inspect and convert: the fields, a table that a name cannot disturb', async () => {
  const header = Buffer.from(
    '{"module.\\u001b[2J":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}',
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(home, 'a.safetensors'), Buffer.concat([length, header, Buffer.alloc(4)]))
  expect(JSON.parse((await weights('inspect', 'a.safetensors', '--json')).stdout)).toEqual({
    format: 'safetensors',
    wrapper: null,
    prefix: 'module.',
    tensors: [{ name: '\u001b[2J', dtype: 'F32', shape: [1, 1] }],
    matches: [],
    crc: 'not checked',
  })
  const shown = (await weights('inspect', 'a.safetensors')).stdout
  expect(shown).toContain('\\x1b[2J  F32  [1, 1]')
  expect(shown).not.toContain('\u001b')
  const converted = await weights('convert', 'a.safetensors', 'b.safetensors')
  expect(converted).toMatchObject({ code: 0, stderr: '' })
  expect(converted.stdout).toMatch(/1 tensors, \d+ bytes, SHA-256 [0-9a-f]{64}/)
})
