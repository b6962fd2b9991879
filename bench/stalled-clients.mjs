// Browsers that stand still, for bench/dashboard.mjs: connections to the dashboard's events that read the
// first bytes and nothing more. One that the dashboard drops comes again.

import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/** @type {Set<import('node:net').Socket>} */
const open = new Set()
let dropped = 0
let isLeaving = false

for await (const line of createInterface({ input: process.stdin })) {
  const { command, address, count } = JSON.parse(line)
  isLeaving = command === 'leave'
  if (command === 'come') {
    dropped = 0
    await Promise.all(Array.from({ length: count }, () => come(new URL(address))))
  }
  if (isLeaving) for (const socket of open) socket.destroy()
  process.stdout.write(`${JSON.stringify({ open: open.size, dropped })}\n`)
  if (isLeaving) open.clear()
}

/** Settles once the dashboard has answered. */
function come(address) {
  return new Promise((settle, reject) => {
    const socket = connect(address.port, address.hostname)
    socket.write(`GET ${address.pathname}events HTTP/1.1\r\nHost: ${address.host}\r\n\r\n`)
    socket.on('error', () => {}) // told as its end
    socket.on('close', () => {
      if (!open.delete(socket) || isLeaving) return
      dropped++
      come(address).catch(() => {})
    })
    socket.once('data', (bytes) => {
      socket.pause()
      const head = bytes.toString('latin1').split('\r\n')[0]
      if (!head.includes(' 200 ')) return reject(new Error(`the dashboard answered ${head}`))
      open.add(socket)
      settle()
    })
  })
}
