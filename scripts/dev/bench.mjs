// @ts-check
// `npm run bench -- NAME [options]`: a clone becomes ready, then bench/NAME.mjs runs. `results` only reads
// and writes text, so it needs no build.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { show } from '../setup/child.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { ensure } from './ensure.mjs'

await runAsProgram(import.meta.url, async ([name = '', ...options]) => {
  const program = join(packageRoot, 'bench', `${name}.mjs`)
  if (!/^[a-z-]+$/.test(name) || !existsSync(program)) {
    process.stderr.write(
      'Usage: npm run bench -- NAME [options]; bench/README.md lists the names.\n',
    )
    return 2
  }
  if (name !== 'results') await ensure({ extra: name === 'driver-overhead' ? ['bench'] : [] })
  return show(process.execPath, [program, ...options], { cwd: packageRoot })
})
