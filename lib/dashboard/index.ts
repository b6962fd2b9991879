// The live dashboard: a page on the loopback interface that shows the runs below a folder as they go on. It
// is a process of its own that reads what runs write, so training does not wait for it. The one thing
// that it writes is RUN/stop.

import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { McLossError } from '../errors.js'
import { faultAt, systemReason } from '../files/system-errors.js'
import { Clients } from './clients.js'
import { dashboardPage } from './page.js'
import { requestHandler } from './requests.js'
import { Watch } from './watch.js'

export interface DashboardOptions {
  dir: string
  /** 0: any free one. */
  port?: number
  /** Between two looks at the files. */
  pollMs?: number
  /** A browser that takes nothing for so long is dropped. */
  stalledMs?: number
}

export interface Dashboard {
  /** With the token, without which nothing is answered. */
  address: string
  /** Browsers that listen at the moment. */
  readonly listening: number
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const CONNECTIONS = 128

/** @throws McLossError E_DATA for a folder that is not there, E_IO for a port that is taken. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { port = 0, pollMs = 1000, stalledMs = 10_000 } = options
  const dir = resolve(options.dir)
  const fault = faultAt(dir)
  if (fault) {
    throw new McLossError(
      'E_DATA',
      `dashboard: expected a folder with runs, but ${dir} cannot be used: ${fault}. Name the folder ` +
        'that runs are written to (out in the configuration).',
    )
  }
  const watch = new Watch(dir)
  const clients = new Clients(stalledMs)
  const token = randomBytes(24).toString('base64url')
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 })
  server.maxConnections = CONNECTIONS
  server.on('clientError', (_, socket) => socket.destroy())
  await listen(server, port)
  const host = `${HOST}:${(server.address() as AddressInfo).port}`
  await watch.look()
  server.on(
    'request',
    requestHandler({ host, token, page: await dashboardPage(dir), watch, clients }),
  )

  let isLooking = false
  const timer = setInterval(async () => {
    clients.tend()
    if (isLooking || clients.size === 0) return
    isLooking = true
    const isNew = await watch.look().finally(() => {
      isLooking = false
    })
    if (isNew) clients.send(watch.snapshot)
  }, pollMs)

  return {
    address: `http://${host}/${token}/`,
    get listening() {
      return clients.size
    },
    close() {
      clearInterval(timer)
      clients.close()
      server.closeAllConnections()
      return new Promise((settle) => server.close(() => settle()))
    },
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((settle, reject) => {
    server.once('error', (cause) =>
      reject(
        new McLossError(
          'E_IO',
          `dashboard: port ${port} of ${HOST} cannot be used: ${systemReason(cause)} Name another ` +
            'with --port, or leave it out for any that is free.',
          { cause },
        ),
      ),
    )
    server.listen(port, HOST, settle)
  })
}
