// @ts-check
// `npm run soak`: every test with its full counts (the tests read MCLOSS_SOAK). Takes hours.

import { join } from 'node:path'
import { show } from '../setup/child.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { ensure } from './ensure.mjs'

await runAsProgram(import.meta.url, async (args) => {
  await ensure({ extra: ['tests'] })
  return show(join(packageRoot, 'node_modules/.bin/vitest'), ['run', ...args], {
    cwd: packageRoot,
    env: { ...process.env, MCLOSS_SOAK: '1' },
  })
})
