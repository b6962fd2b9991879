// @ts-check
// `mcloss setup`: finds or fetches LibTorch and builds the add-on, also where npm ran no scripts.

import { parseArgs } from 'node:util'
import { build, describe, requireLibtorch } from './build.mjs'
import { reasonOf, runAsProgram, SetupError } from './setup-error.mjs'

const usage = `Usage: mcloss setup [--fetch] [--libtorch PATH] [--force]
  --fetch           fetch the pinned CPU LibTorch into the cache folder and build with it
  --libtorch PATH   build with the LibTorch in PATH (holds include/ and lib/)
  --force           fetch and build again although nothing changed
`

await runAsProgram(import.meta.url, async (args) => {
  const options = optionsOf(args)
  if (!options) {
    process.stderr.write(usage)
    return 2
  }
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const { force } = options
  const libtorch = options.fetch ? await fetched(force) : await requireLibtorch(options.libtorch)
  const built = await build(libtorch, { force })
  process.stdout.write(`mcloss: ${built ? 'ready' : 'nothing to build'}; ${describe(libtorch)}\n`)
  return 0
})

/** Loaded here, since it needs packages. @param {boolean} force */
async function fetched(force) {
  const { fetchLibtorch } = await import('./fetch-libtorch.mjs')
  return fetchLibtorch({ force })
}

/** @param {string[]} args */
function optionsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        fetch: { type: 'boolean' },
        libtorch: { type: 'string' },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean' },
      },
    })
    if (values.fetch && values.libtorch) {
      throw new SetupError('mcloss setup: --fetch and --libtorch exclude each other.')
    }
    return values
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`)
    return undefined
  }
}
