// The dashboard's server without a browser: what it refuses, what it shows of run folders, and whom it
// drops.

import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Dashboard, startDashboard } from '../../../lib/dashboard/index.js'
import type { Snapshot } from '../../../lib/page/content.js'
import { Claim } from '../../../lib/train/claim.js'
import { epochEvent, writeRecords } from '../../support/run-records.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const root = join(folder, 'runs')
const going = join(root, 'going')
const claim = new Claim()
let dashboard: Dashboard
let [host, token, id] = ['', '', '']
let first: Snapshot

const classes = ['a', 'b']
const png = Buffer.from('89504e470d0a1a0a', 'hex')

interface Asked {
  method?: string
  path?: string
  headers?: Record<string, string>
}

function ask({ method = 'GET', path = '', headers = {} }: Asked, given = token) {
  return new Promise<{ status: number; body: Buffer; headers: object }>((settle, reject) => {
    const [hostname, port] = host.split(':')
    const target = path.startsWith('/') ? path : `/${given}/${path}`
    const sent = request({ hostname, port, method, path: target, headers }, (answer) => {
      const pieces: Buffer[] = []
      answer.on('data', (piece) => pieces.push(piece))
      answer.on('end', () =>
        settle({
          ...{ status: answer.statusCode ?? 0, headers: answer.headers },
          body: Buffer.concat(pieces),
        }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** The first snapshot that a listener gets. */
function snapshotOf({ address }: Dashboard): Promise<Snapshot> {
  return new Promise((settle, reject) => {
    const sent = request(`${address}events`, (answer) => {
      let text = ''
      answer.on('data', (piece) => {
        text += piece
        const found = /^data: (.*)\n\n/.exec(text)?.[1]
        if (found) {
          settle(JSON.parse(found))
          sent.destroy()
        }
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

beforeAll(async () => {
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  await writeRecords(going, { classes, epochs: 3, planned: 9 })
  await writeRecords(join(root, 'compared/runs/1-key/run'), { classes, epochs: 2 })
  const stopped = await writeRecords(join(root, 'stopped'), { classes, epochs: 2, planned: 4 })
  const abort = { type: 'checkpoint', kind: 'abort', path: '', epoch: 2, step: 21 }
  writeFileSync(join(stopped, 'metrics.jsonl'), `${JSON.stringify(abort)}\n`, { flag: 'a' })
  await writeRecords(join(root, 'killed'), { classes, epochs: 2, planned: 4 })
  symlinkSync(folder, join(root, 'link'))
  for (const name of ['going', 'killed']) mkdirSync(join(root, name, 'maps'))
  for (const epoch of ['0002', '0010']) {
    writeFileSync(
      join(going, 'maps', `epoch-${epoch}.png`),
      Buffer.concat([png, Buffer.from(epoch)]),
    )
  }
  symlinkSync(join(folder, 'secret.txt'), join(root, 'killed/maps/epoch-0001.png'))
  symlinkSync(join(going, 'maps'), join(stopped, 'maps'))
  await claim.take(going)
  dashboard = await startDashboard({ dir: root, pollMs: 20, stalledMs: 300 })
  host = new URL(dashboard.address).host
  token = new URL(dashboard.address).pathname.split('/')[1] as string
  first = await snapshotOf(dashboard)
  id = first.runs.find(({ name }) => name === 'going')?.id as string
})

afterAll(async () => {
  await dashboard.close()
  await claim.release()
})

const idOf = (name: string) => first.runs.find((run) => run.name === name)?.id

test('the runs below the folder are found, with their states and their newest maps', () => {
  const seen = first.runs.map(({ name, state, epochs, planned, maps }) => {
    return [name, state, epochs, planned, maps]
  })
  expect(seen).toEqual([
    ['compared/runs/1-key/run', 'ended', 2, 2, null],
    ['going', 'running', 3, 9, '0010'],
    ['killed', 'failed', 2, 4, '0001'],
    ['stopped', 'stopped', 2, 4, '0010'],
  ])
  const top1 = first.charts.find((chart) => chart.id === 'top1')
  expect(top1?.series[0]?.values).toEqual([0.45, 0.9, null])
})

test('the page, the newest maps and nothing else is served, each with its headers', async () => {
  const page = await ask({})
  expect(page).toMatchObject({
    status: 200,
    headers: {
      'content-security-policy': "frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
  })
  expect(page.body.toString()).toContain('default-src &#39;none&#39;')
  const maps = await ask({ path: `runs/${id}/maps/0010` })
  expect(maps).toMatchObject({ status: 200, headers: { 'content-type': 'image/png' } })
  expect(maps.body).toEqual(Buffer.concat([png, Buffer.from('0010')]))
})

test('60 forged requests are refused, each with its code', async () => {
  const other = 'A'.repeat(token.length)
  const own = { origin: `http://${host}` }
  const [address, port] = host.split(':')
  const forged: [status: number, asked: Asked, token?: string][] = [
    // Names that an attacker's DNS gives this address.
    ...[
      'evil.example',
      `evil.example:${port}`,
      `localhost:${port}`,
      address,
      `${host}.evil.example`,
      `127.1:${port}`,
      `[::1]:${port}`,
      `0.0.0.0:${port}`,
      `127.0.0.1:1`,
      ' ',
    ].flatMap((name): [number, Asked][] => [
      [403, { headers: { host: name as string } }],
      [403, { headers: { host: name as string, ...own }, method: 'POST', path: `runs/${id}/stop` }],
    ]),
    // Pages of other origins, and what sends none.
    ...[
      'http://evil.example',
      'null',
      `https://${host}`,
      `http://localhost:${port}`,
      `${host}`,
      `http://${host}.evil.example`,
      `http://${address}`,
      `http://${host}/`,
    ].flatMap((origin): [number, Asked][] => [
      [403, { headers: { origin }, path: 'events' }],
      [403, { headers: { origin }, method: 'POST', path: `runs/${id}/stop` }],
    ]),
    [403, { method: 'POST', path: `runs/${id}/stop` }],
    // Tokens.
    ...[
      other,
      token.slice(1),
      `${token}A`,
      `${token.toLowerCase()}.`,
      '',
      '%00',
      `${token}%2f`,
    ].map((given): [number, Asked, string] => [403, { path: 'events' }, given]),
    [403, { path: '/' }],
    [403, { path: `/${token}` }],
    [403, { path: `//${token}/` }],
    [403, { path: `/x/../${token}/` }],
    [404, { path: `http://${host}/${token}/` }],
    // Paths.
    ...[
      '../../secret.txt',
      '..%2f..%2fsecret.txt',
      'runs',
      `runs/${id}`,
      `runs/${id}/metrics.jsonl`,
      `runs/${id}/maps/`,
      `runs/${id}/maps/0002`,
      `runs/${id}/maps/../../../secret.txt`,
      `runs/${id}/maps/0010%2f..`,
      `runs/going/maps/0010`,
      `runs/${id}/maps/0010.png`,
      `runs/${'0'.repeat(16)}/maps/0010`,
      `runs/${id}/maps/0010?x`,
      'events?x',
      '.',
      '%2e%2e/',
      // A link out of the run folder, and a folder that is one.
      `runs/${idOf('stopped')}/maps/0010`,
    ].map((path): [number, Asked] => [404, { path }]),
    // Methods.
    ...['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'].map((method): [number, Asked] => [
      405,
      { method, headers: own },
    ]),
    [405, { path: `runs/${id}/stop` }],
    [409, { path: `runs/${idOf('killed')}/stop`, method: 'POST', headers: own }],
  ]
  expect(forged.length).toBeGreaterThanOrEqual(60)
  for (const [status, asked, given] of forged) {
    const answer = await ask(asked, given)
    expect(answer.status, JSON.stringify([asked, given])).toBe(status)
    expect(answer.body.toString()).not.toContain('secret')
    expect(answer.body.length).toBeLessThan(60)
  }
  const linked = await ask({ path: `runs/${idOf('killed')}/maps/0001` })
  expect(linked.status).toBe(404)
  expect(linked.body.toString()).not.toContain('secret\n')
  expect(existsSync(join(going, 'stop'))).toBe(false)
})

test('maps that a snapshot has named are served when there are newer ones, and no others', async () => {
  const maps = (epoch: string) => ask({ path: `runs/${id}/maps/${epoch}` })
  expect((await maps('0011')).status).toBe(404)
  for (const epoch of ['0009', '0011']) writeFileSync(join(going, `maps/epoch-${epoch}.png`), png)
  await vi.waitFor(async () => {
    const { runs } = await snapshotOf(dashboard)
    expect(runs.find((run) => run.id === id)?.maps).toBe('0011')
  }, 10_000)
  expect(await maps('0010')).toMatchObject({
    status: 200,
    body: Buffer.concat([png, Buffer.from('0010')]),
  })
  expect(await maps('0011')).toMatchObject({ status: 200, body: png })
  for (const epoch of ['0002', '0009', '0012']) expect((await maps(epoch)).status).toBe(404)
})

test('clients that take nothing are dropped, and the others go on', async () => {
  const sockets: Socket[] = []
  const [hostname, port] = host.split(':')
  for (let at = 0; at < 20; at++) {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(`GET /${token}/events HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
    socket.pause()
    sockets.push(socket)
  }
  await vi.waitFor(() => expect(dashboard.listening).toBe(20), 10_000)
  // Much to show, again and again: more than the system holds for those who do not read.
  const many = Array.from({ length: 3000 }, (_, epoch) => epochEvent(epoch, { classes, epochs: 9 }))
  const journal = join(going, 'metrics.jsonl')
  writeFileSync(journal, many.map((event) => `${JSON.stringify(event)}\n`).join(''), { flag: 'a' })
  let epoch = many.length
  await vi.waitFor(
    () => {
      const line = JSON.stringify(epochEvent(epoch++, { classes, epochs: 9 }))
      writeFileSync(journal, `${line}\n`, { flag: 'a' })
      expect(dashboard.listening).toBe(0)
    },
    { timeout: 30_000, interval: 50 },
  )
  expect((await snapshotOf(dashboard)).runs).toHaveLength(4)
  for (const socket of sockets) socket.destroy()
})
