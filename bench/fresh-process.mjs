// One side of a comparison in a process of its own: what it needs from start to end is what it measures.

import { spawnSync } from 'node:child_process'

/** Runs `script` with `request` as its JSON argument; -> the JSON that it prints. */
export function runAlone(command, script, request) {
  const { status, error, stdout } = spawnSync(command, [script, JSON.stringify(request)], {
    env: { ...process.env, THP_MEM_ALLOC_ENABLE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status === 0) return JSON.parse(stdout)
  throw new Error(`bench: ${command} ${script} ended with ${error?.message ?? `code ${status}`}.`)
}
