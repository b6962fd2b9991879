// @ts-check
// `npm run demo`: a clone becomes ready, then `mcloss demo` runs in this process, so that signals
// and the exit code are its own.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { ensure } from './ensure.mjs'

await runAsProgram(import.meta.url, async (args) => {
  await ensure()
  const cli = join(packageRoot, 'dist/cli/main.js')
  process.argv = [process.execPath, cli, 'demo', ...args]
  await import(pathToFileURL(cli).href)
  return undefined
})
