// @ts-check
// Serves the page of this folder, onnxruntime-web from node_modules, a model, and what the model says of itself.
//
//   npm install onnxruntime-web protobufjs
//   npx mcloss export runs/birds --format onnx --maps --out birds.onnx
//   node serve.mjs birds.onnx [PORT]

import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { pipeline } from 'node:stream'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const [model, port = '8081'] = process.argv.slice(2)
if (!model) {
  console.error('usage: node serve.mjs MODEL.onnx [PORT]')
  process.exit(2)
}
const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'))
const own = ['index.html', 'page.js', 'style.css']
const theirs = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm']
const here = dirname(fileURLToPath(import.meta.url))
/** @type {Map<string, string>} */
const files = new Map([['/model.onnx', model]])
for (const name of own) files.set(`/${name}`, join(here, name))
for (const name of theirs) files.set(`/ort/${name}`, join(runtime, name))
const about = Buffer.from(JSON.stringify(metadataOf(model)))

/** The entries `classes`, `preprocessing` and `groups`, which onnxruntime-web does not give. @param {string} path */
function metadataOf(path) {
  const { root } = protobuf.parse(`syntax = "proto2";
    message Entry { optional string key = 1; optional string value = 2; }
    message Model { repeated Entry entries = 14; }`)
  const read = root.lookupType('Model').decode(readFileSync(path)).toJSON()
  /** @type {{ key: string, value: string }[]} */
  const entries = read.entries ?? []
  return Object.fromEntries(entries.map(({ key, value }) => [key, JSON.parse(value)]))
}

/** @type {Record<string, string>} */
const types = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}

const server = createServer(async ({ url = '/' }, response) => {
  const [pathname = '/'] = url.split('?')
  if (pathname === '/model.json') {
    response.setHeader('Content-Type', 'application/json')
    return response.end(about)
  }
  const path = files.get(pathname === '/' ? '/index.html' : pathname)
  const file = path === undefined ? undefined : await open(path).catch(() => undefined)
  if (!path || !file) return response.writeHead(404).end()
  response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream')
  response.setHeader('Content-Length', (await file.stat()).size)
  // A model is large, so it goes piece by piece. Where it cannot be read, the connection ends.
  pipeline(file.createReadStream(), response, () => {})
})
server.listen(Number(port), '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`http://127.0.0.1:${address.port}/`)
})
