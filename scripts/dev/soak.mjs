// @ts-check
// `npm run soak`: every test with its full counts (the tests read MCLOSS_SOAK), the C++ tests whole
// with each form of the loops, the CUDA kernels on the CPU in all orders of threads. Takes hours.
// Arguments go to vitest.

import { join } from 'node:path'
import { show } from '../setup/child.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { ensure } from './ensure.mjs'
import { loopsHere } from './loops.mjs'

await runAsProgram(import.meta.url, async (args) => {
  await ensure({ extra: ['tests'] })
  const soak = { ...process.env, MCLOSS_SOAK: '1' }
  const here = { cwd: packageRoot }
  let failed = 0
  const program = join(packageRoot, 'build/ops_test')
  for (const { env } of loopsHere()) {
    const options = { ...here, env: { ...soak, ...env } }
    failed = (await show(program, ['test/fixtures'], options)) || failed
  }
  failed = (await show(program, ['test/fixtures', '--kernels'], { ...here, env: soak })) || failed
  const vitest = join(packageRoot, 'node_modules/.bin/vitest')
  return (await show(vitest, ['run', ...args], { ...here, env: soak })) || failed
})
