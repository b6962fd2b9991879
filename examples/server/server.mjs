// @ts-check
// A trained model over HTTP. GET / is a page with a form. POST /predict takes an image, as the file `image` of
// a form or as the body itself, and answers in JSON, or with a page to a browser.
//
//   npm install mcloss hono @hono/node-server
//   node server.mjs runs/birds [--port 8080] [--megabytes 10] [--seconds 30] [--uploads 64]

import { parseArgs } from 'node:util'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { html } from 'hono/html'
import { createPredictor, McLossError } from 'mcloss'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8080' },
    megabytes: { type: 'string', default: '10' }, // of an upload
    seconds: { type: 'string', default: '30' }, // for an upload, and again for its answer
    uploads: { type: 'string', default: '64' }, // in work at one time
  },
})
const megabytes = Number(values.megabytes)
const seconds = Number(values.seconds)
const uploads = Number(values.uploads)
const [weights] = positionals
if (!weights || ![megabytes, seconds, uploads].every((limit) => limit > 0)) {
  console.error(
    'usage: node server.mjs WEIGHTS [--port N] [--megabytes N] [--seconds N] [--uploads N]',
  )
  process.exit(2)
}
const milliseconds = seconds * 1000
const predictor = await createPredictor({ weights })
/**
 * isRead: the upload is here whole.
 * @typedef {import('@hono/node-server').HttpBindings} HttpBindings
 * @type {Hono<{ Bindings: HttpBindings, Variables: { isRead: boolean } }>}
 */
const app = new Hono()
let inWork = 0

app.get('/', (c) => c.html(page(html``)))

app.post(
  '/predict',
  // Counted before the body is read: that many uploads are in memory at most.
  async (c, next) => {
    if (inWork >= uploads) {
      c.header('Retry-After', '1')
      return refuse(c, 503, 'E_BUSY', `${inWork} uploads are in work. Try again in a second.`)
    }
    inWork++
    try {
      await next()
    } finally {
      inWork--
    }
  },
  bodyLimit({
    maxSize: megabytes * 2 ** 20,
    onError: (c) => {
      // What still comes is dropped. A client that goes on sending would lose this answer if the connection ended.
      c.env.incoming.removeAllListeners('data').resume()
      return refuse(
        c,
        413,
        'E_SIZE',
        `An upload has at most ${megabytes} MiB. Send a smaller image.`,
      )
    },
  }),
  async (c) => {
    const bytes = await imageOf(c)
    c.set('isRead', true)
    if (bytes.length === 0) {
      return refuse(
        c,
        400,
        'E_ARGUMENT',
        'Send an image: as the body, or as the file `image` of a form.',
      )
    }
    const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(milliseconds)])
    const [answer] = await predictor.predict([bytes], { top: 5, signal })
    if (answer?.error) return refuse(c, 422, answer.error.code, answer.error.message)
    const top = answer?.top ?? []
    return wantsPage(c) ? c.html(page(tableOf(top))) : c.json({ top })
  },
)

app.onError((error, c) => {
  if (error instanceof McLossError && error.code === 'E_ABORTED') {
    return refuse(c, 503, 'E_TIME', `There was no answer within ${seconds} s. Try again later.`)
  }
  // The body ended early, or is no form.
  if (!c.get('isRead')) return refuse(c, 400, 'E_ARGUMENT', error.message)
  console.error(error)
  const code = error instanceof McLossError ? error.code : 'E_SERVER'
  return refuse(c, 500, code, 'The model gave no answer. The log of the server says why.')
})

/** @param {import('hono').Context} c */
async function imageOf(c) {
  if (!c.req.header('content-type')?.startsWith('multipart/form-data')) {
    return new Uint8Array(await c.req.arrayBuffer())
  }
  const { image } = await c.req.parseBody()
  return image instanceof File ? new Uint8Array(await image.arrayBuffer()) : new Uint8Array()
}

/** @param {import('hono').Context} c */
const wantsPage = (c) => c.req.header('accept')?.includes('text/html') ?? false

/**
 * @param {import('hono').Context} c
 * @param {400 | 413 | 422 | 500 | 503} status
 * @param {string} code
 * @param {string} message
 */
function refuse(c, status, code, message) {
  if (wantsPage(c)) return c.html(page(html`<p role="alert">${message}</p>`), status)
  return c.json({ error: { code, message } }, status)
}

/** @param {{ class: string, probability: number }[]} top */
function tableOf(top) {
  const rows = top.map(
    ({ class: name, probability }) =>
      html`<tr><td>${name}</td><td>${(100 * probability).toFixed(1)} %</td></tr>`,
  )
  return html`<table><tbody>${rows}</tbody></table>`
}

/** @param {ReturnType<typeof html>} result */
function page(result) {
  return html`<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>What is it?</title>
  <style>
    body { font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 2rem auto; padding: 0 1rem }
    td { padding: 0.2rem 1.5rem 0.2rem 0 }
    td:last-child { text-align: right }
  </style>
  <h1>What is it?</h1>
  <form action="/predict" method="post" enctype="multipart/form-data">
    <label>A picture <input type="file" name="image" accept="image/*" required></label>
    <button>Classify</button>
  </form>
  ${result}
</html>`
}

const server = serve(
  {
    fetch: app.fetch,
    port: Number(values.port),
    hostname: values.host,
    autoCleanupIncoming: false, // it hangs up half a second after an answer to a client that still sends
    // A client that is slower gets 408 from Node.js, and its upload ends.
    serverOptions: {
      requestTimeout: milliseconds,
      headersTimeout: milliseconds,
      connectionsCheckingInterval: Math.min(1000, milliseconds / 4),
    },
  },
  (address) => console.log(`http://${values.host}:${address.port}`),
)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => predictor.dispose())
  })
}
