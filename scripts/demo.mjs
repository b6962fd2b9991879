// @ts-check
// `npm run demo`: a clone becomes ready, then `mcloss demo` runs.

import { join } from 'node:path'
import { show } from './child.mjs'
import { ensure } from './ensure.mjs'
import { packageRoot } from './paths.mjs'
import { runAsProgram } from './setup-error.mjs'

await runAsProgram(import.meta.url, async (args) => {
  await ensure()
  // Ctrl-C reaches the child too, which saves and says so; this process waits for it.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  return show(process.execPath, [join(packageRoot, 'dist/cli.js'), 'demo', ...args])
})
