// examples/server as a process of its own, under what a server meets.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeDrawnBirds } from '../../lib/data/datasets/drawn-birds.js'
import type { Prediction } from '../../lib/predict/each.js'
import { predict } from '../../lib/predict/inference.js'
import { blackRows, png, pngChunk, pngEnd, pngHeader } from '../support/png-bytes.js'
import { temporaryFolder } from '../support/small-birds.js'
import { CLASSES, writeModel } from '../support/untrained-model.js'

const script = join(import.meta.dirname, '../../examples/server/server.mjs')
const [MEGABYTES, SECONDS, UPLOADS] = [2, 3, 20]
let server: ChildProcess
let address: string
let weights: string
let files: string[]

beforeAll(async () => {
  const folder = temporaryFolder()
  weights = await writeModel(folder)
  const root = join(folder, 'birds')
  await writeDrawnBirds({ root, classes: 2, trainPerClass: 2, testPerClass: 1, size: 64 })
  files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jpg'))
    .map((name) => join(root, name))
  const limits = [`--megabytes=${MEGABYTES}`, `--seconds=${SECONDS}`, `--uploads=${UPLOADS}`]
  server = spawn(process.execPath, [script, weights, '--port=0', ...limits], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(server.stdout as NonNullable<ChildProcess['stdout']>, 'data')
  address = String(line).trim()
})
afterAll(async () => {
  server.kill('SIGTERM')
  const [code] = await once(server, 'exit')
  expect(code).toBe(0)
})

/** Of the server, MiB. */
function memory(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024
}

const send = (body: Uint8Array | FormData, headers = {}) =>
  fetch(`${address}/predict`, { method: 'POST', body, headers })

async function refusal(body: Parameters<typeof send>[0]) {
  const response = await send(body)
  return { status: response.status, ...((await response.json()) as object) }
}

test('JSON as predict has it, from a body and from a form; a page for a browser', async () => {
  const path = files[0] as string
  const [prediction] = await predict([path], { weights, top: 5 })
  const { top } = prediction as Prediction
  const bytes = readFileSync(path)
  const form = new FormData()
  form.set('image', new File([bytes], 'bird.jpg'))
  for (const body of [bytes, form]) {
    const response = await send(body)
    expect([response.status, await response.json()]).toEqual([200, { top }])
  }
  const page = await send(form, { accept: 'text/html' })
  const text = await page.text()
  for (const name of CLASSES) expect(text).toContain(`<td>${name}</td>`)
  expect((await fetch(address)).status).toBe(200)
  expect((await fetch(`${address}/predict`)).status).toBe(404)
})

/** A PNG that says it is `side` x `side` and is a few kilobytes long. */
const bomb = (side: number) =>
  png(pngHeader({ width: side, height: side }), pngChunk('IDAT', blackRows(3000, 3000)), pngEnd)

test('what is no image, or too much of one, has its code and says why', async () => {
  const jpeg = readFileSync(files[0] as string)
  const truncated = jpeg.subarray(0, jpeg.length / 2)
  expect(await refusal(truncated)).toMatchObject({ status: 422, error: { code: 'E_IMAGE' } })
  expect(await refusal(bomb(30_000))).toMatchObject({
    status: 422,
    error: { code: 'E_IMAGE', message: expect.stringMatching(/pixel/i) },
  })
  expect(await refusal(new Uint8Array())).toMatchObject({ status: 400 })
  expect(await refusal(new FormData())).toMatchObject({ status: 400 })
  const page = await send(Buffer.from('<b>no image</b>'), { accept: 'text/html' })
  expect([page.status, await page.text()]).toEqual([422, expect.stringContaining('role="alert"')])
})

/**
 * The status of the answer to a request that is sent piece by piece, until the answer comes; 0: none. With
 * `isDeaf` nothing is read before all is sent.
 */
async function statusOf(head: string, pieces: Iterable<Uint8Array>, isDeaf = false) {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  let status = 0
  const end = new Promise<void>((settle) =>
    socket.on('error', () => {}).on('close', () => settle()),
  )
  const answer = new Promise<void>((settle) => {
    socket.on('data', (bytes) => {
      status ||= Number(/^HTTP\/1\.1 (\d+)/.exec(String(bytes))?.[1] ?? 0)
      settle()
    })
  })
  if (isDeaf) socket.pause()
  socket.write(`POST /predict HTTP/1.1\r\nHost: ${hostname}\r\n${head}\r\n\r\n`)
  for (const piece of pieces) {
    if (status || socket.destroyed) break
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => {}), end])
  }
  socket.resume()
  await Promise.race([answer, end])
  socket.destroy()
  return status
}

const megabyte = Buffer.alloc(2 ** 20)
const chunk = Buffer.concat([Buffer.from('100000\r\n'), megabyte, Buffer.from('\r\n')])

test('100 MB are refused at once, with their length and without', async () => {
  const before = memory()
  const told = `Content-Length: ${100 * 2 ** 20}`
  expect(await statusOf(told, Array(3).fill(megabyte))).toBe(413)
  expect(await statusOf('Transfer-Encoding: chunked', Array(100).fill(chunk))).toBe(413)
  expect(memory() - before).toBeLessThan(60)
})

/** More than the system holds for a server that reads nothing. */
const tooLarge = [`Content-Length: ${32 * 2 ** 20}`, Array(32).fill(megabyte)] as const

test('a client that reads nothing before it has sent all is told as well', async () => {
  const before = memory()
  expect(await statusOf(...tooLarge, true)).toBe(413)
  expect(await statusOf('Transfer-Encoding: chunked', Array(32).fill(chunk), true)).toBe(413)
  expect(memory() - before).toBeLessThan(60)
})

test('slow clients are shut out with 408, and their places are free again', async () => {
  const slow = Array.from({ length: UPLOADS }, () =>
    statusOf('Content-Length: 1000', [Buffer.alloc(10)]),
  )
  await expect.poll(async () => (await send(new Uint8Array())).status).toBe(503)
  expect(await statusOf(...tooLarge, true)).toBe(503)
  expect(new Set(await Promise.all(slow))).toEqual(new Set([408]))
  await expect.poll(async () => (await send(readFileSync(files[0] as string))).status).toBe(200)
})

/** An upload that waits with its last bytes: the code of the answer's error, or 'none', comes by `answer`. */
function heldUpload(body: Buffer) {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {}) // the server hangs up on what it refuses
  const lines = [`Host: ${hostname}`, `Content-Length: ${body.length}`, 'Connection: close']
  socket.write(`POST /predict HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  socket.write(body.subarray(0, -10))
  const answer = buffer(socket).then(
    (bytes) => /"code":"(\w+)"/.exec(String(bytes))?.[1] ?? 'none',
    () => 'none',
  )
  return { answer, finish: () => socket.end(body.subarray(-10)), drop: () => socket.destroy() }
}

test('never more than --uploads are in work: of more at one time the others are refused', async () => {
  const more = 5
  const body = readFileSync(files[0] as string)
  const held = Array.from({ length: UPLOADS + more }, () => heldUpload(body))
  const codes: string[] = []
  for (const { answer } of held) answer.then((code) => codes.push(code))
  try {
    await expect.poll(() => codes.length).toBe(more)
    expect(codes).toEqual(Array(more).fill('E_BUSY'))
    for (const { finish } of held) finish()
    await Promise.all(held.map(({ answer }) => answer))
  } finally {
    for (const { drop } of held) drop()
  }
  expect(codes.filter((code) => code === 'E_BUSY')).toHaveLength(more)
})

test('200 uploads at once: 200 or 503; memory does not grow', async () => {
  const bodies = Array.from({ length: 200 }, (_, at) =>
    at % 20 === 0 ? bomb(20_000) : readFileSync(files[at % files.length] as string),
  )
  const round = async () => {
    const statuses = await Promise.all(
      bodies.map(async (body) => {
        const response = await send(body)
        await response.arrayBuffer()
        return response.status
      }),
    )
    const counts = new Map<number, number>()
    for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1)
    return counts
  }
  await round()
  const before = memory()
  for (let again = 0; again < 4; again++) {
    const counts = await round()
    expect([200, 422, 503]).toEqual(expect.arrayContaining([...counts.keys()]))
    expect(counts.get(200)).toBeGreaterThan(UPLOADS / 2)
  }
  expect(memory() - before).toBeLessThan(40)
  expect(server.exitCode).toBeNull()
})
