// Stand-ins for what the install scripts look for: LibTorch folders and a python3.

import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export const temporaryFolder = () => mkdtempSync(join(tmpdir(), 'mcloss-install-'))

export function writeFile(path: string, content = '') {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

/** A folder that looks like a LibTorch; `version` goes into version.py. */
export function fakeLibtorch(folder: string, version = '2.13.0+cpu'): string {
  writeFile(join(folder, 'include/torch/csrc/api/include/torch/torch.h'))
  for (const name of ['torch', 'torch_cpu', 'c10']) writeFile(join(folder, `lib/lib${name}.so`))
  writeFile(join(folder, 'version.py'), `__version__ = '${version}'\n`)
  return folder
}

/** A folder for PATH with a python3 whose torch is in `torch`, or that has none. */
export function fakePython(folder: string, torch = ''): string {
  const program = join(folder, 'python3')
  writeFile(program, `#!/bin/sh\necho "${torch}"\n`)
  chmodSync(program, 0o755)
  return folder
}
