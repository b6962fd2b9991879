// What examples/browser/serve.mjs serves and what it refuses. test/browser looks at its page.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, unlinkSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportModel } from '../../lib/export/index.js'
import { temporaryFolder } from '../support/small-birds.js'
import { CLASSES, writeModel } from '../support/untrained-model.js'

const example = join(import.meta.dirname, '../../examples/browser')
const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'))
const folder = temporaryFolder()
const model = join(folder, 'birds.onnx')
let server: ChildProcess
let port: string

beforeAll(async () => {
  await exportModel({ weights: await writeModel(folder), out: model, format: 'onnx' })
  server = spawn(process.execPath, [join(example, 'serve.mjs'), model, '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(server.stdout as NonNullable<ChildProcess['stdout']>, 'data')
  port = new URL(String(line).trim()).port
})
afterAll(() => server.kill())

/** `path` goes out as it is; fetch would resolve its dots. */
async function get(path: string) {
  const sent = request({ host: '127.0.0.1', port, path }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const { 'content-type': type, 'content-length': length } = answer.headers
  return { status: answer.statusCode, type, length: Number(length), body: await buffer(answer) }
}

type Served = [path: string, file: string, type: string]
const served: Served[] = [
  ['/', join(example, 'index.html'), 'text/html; charset=utf-8'],
  ['/?from=here', join(example, 'index.html'), 'text/html; charset=utf-8'],
  ['/page.js', join(example, 'page.js'), 'text/javascript; charset=utf-8'],
  ['/style.css', join(example, 'style.css'), 'text/css; charset=utf-8'],
  ...['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs'].map((name) => {
    return [`/ort/${name}`, join(runtime, name), 'text/javascript; charset=utf-8'] as Served
  }),
  [
    '/ort/ort-wasm-simd-threaded.wasm',
    join(runtime, 'ort-wasm-simd-threaded.wasm'),
    'application/wasm',
  ],
  ['/model.onnx', model, 'application/octet-stream'],
]

test.each(served)(
  '%s has its type, its length and the bytes of its file',
  async (path, file, type) => {
    const { body, ...head } = await get(path)
    const bytes = readFileSync(file)
    expect(head).toEqual({ status: 200, type, length: bytes.length })
    expect(body.equals(bytes)).toBe(true)
  },
)

test('/model.json is what the model says of itself', async () => {
  const { body, ...head } = await get('/model.json')
  expect(head).toEqual({ status: 200, type: 'application/json', length: body.length })
  expect(JSON.parse(String(body))).toMatchObject({
    classes: CLASSES,
    preprocessing: { input: 'u8', crop: { height: 40, width: 40 } },
  })
})

test('nothing else is served, whatever way a path takes', async () => {
  for (const path of [
    ...['/serve.mjs', '/tsconfig.json', '/birds.onnx', '/ort', '/ort/', '/ort/ort.min.js', '//'],
    ...['/../browser/serve.mjs', '/../../package.json', '/ort/../serve.mjs', '/./page.js'],
    ...['/%2e%2e/server/server.mjs', '/..%2fserver%2fserver.mjs', '/%2e/serve.mjs', '/%'],
    ...['//etc/passwd', '/etc/passwd', `/${model}`, model, `http://127.0.0.1:${port}/serve.mjs`],
  ]) {
    const { status, body } = await get(path)
    expect([status, body.length], path).toEqual([404, 0])
  }
})

test('a model that is gone is not found, and the server goes on', async () => {
  unlinkSync(model)
  expect((await get('/model.onnx')).status).toBe(404)
  expect((await get('/')).status).toBe(200)
})
