// The Python of the peers (--python), with the same torch version as the LibTorch of the add-on.
// Anything else would compare two releases, so it is refused.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { native } from '../dist/binding.js'
import { LineProcess } from './line-process.mjs'

export const peerScript = (name) => fileURLToPath(new URL(`peers/${name}`, import.meta.url))

/** Ends the program with exit code 1 when the peer cannot be run. */
export function requirePython(python, modules) {
  const wanted = native().buildInfo().libtorch.split('+')[0]
  const code = `import ${['torch', ...modules].join(', ')}; print(torch.__version__)`
  const { error, status, stdout, stderr } = spawnSync(python, ['-c', code], { encoding: 'utf8' })
  const found = stdout?.trim()
  if (!error && status === 0 && found.split('+')[0] === wanted) return found
  const reason = error?.message ?? (status === 0 ? `it has torch ${found}` : lastLine(stderr))
  console.error(
    `bench: the peer needs Python with torch ${wanted} (the add-on's LibTorch)` +
      `${modules.map((name) => `, ${name}`).join('')}; ${python} will not do: ${reason}.\n` +
      'Name a Python that has them: --python PATH.',
  )
  process.exit(1)
}

/** The peer inherits THP_MEM_ALLOC_ENABLE=1, which the add-on set in this process: both sides get huge
 * pages, though PyTorch has them off by default. */
export function startPeer(python, name, label = name) {
  return new LineProcess(`peer ${label}`, python, [peerScript(name)])
}

const lastLine = (text) => text.trim().split('\n').at(-1)
