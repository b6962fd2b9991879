// What the benchmarks of the operator share: the Python process that has loaded libmcloss_ops.so, and
// how its answers are printed.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { requirePython, startPeer } from './python.mjs'

export const opsLibrary = fileURLToPath(
  new URL('../build/Release/libmcloss_ops.so', import.meta.url),
)
export const weights = { alpha: 1.5, beta: 20 }

/** -> the process that runs bench/peers/`script`, its torch version, and the GPU it sees. */
export async function startSide({ script, python, threads }) {
  if (!existsSync(opsLibrary)) {
    console.error(`bench: ${opsLibrary} is not there; npm run build makes it.`)
    process.exit(1)
  }
  const torch = requirePython(python, [])
  const side = startPeer(python, script)
  const { gpu } = await side.ask('setup', { library: opsLibrary, threads })
  return { side, torch, gpu }
}

export function nameOf({ shape, layout, dtype }) {
  return `[${shape}] ${dtype} ${layout}`
}

export function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
