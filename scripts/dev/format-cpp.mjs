// @ts-check
// The C++ and CUDA side of `npm run lint`, which prints the files that .clang-format would change, and
// of `npm run fmt`, which changes them (--write). clang-format is a package of one exact version:
// another formats otherwise.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { read } from '../setup/child.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'

const clangFormat = join(packageRoot, 'node_modules/.bin/clang-format')

await runAsProgram(import.meta.url, async (args) => {
  const trial = await read(clangFormat, ['--version'])
  if (trial.code !== 0) {
    const reason = /Error: .+/.exec(trial.stderr)?.[0] ?? trial.stderr.trim()
    process.stdout.write(`C++ format not looked at: clang-format does not run here: ${reason}\n`)
    return 0
  }
  const mode = args.includes('--write') ? ['-i'] : ['--dry-run', '--Werror']
  const { code, stderr } = await read(clangFormat, [...mode, ...sources()], { cwd: packageRoot })
  const differing = new Set(
    stderr.match(/^.+?(?=:\d+:\d+: error: code should be clang-formatted)/gm),
  )
  for (const file of differing) process.stdout.write(`${file}: not formatted; run: npm run fmt\n`)
  if (code !== 0 && differing.size === 0) process.stderr.write(stderr)
  return code
})

function sources() {
  return ['native', 'test/native', 'bench'].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(cpp|h|cu|cuh)$/.test(name))
      .map((name) => join(folder, name)),
  )
}
