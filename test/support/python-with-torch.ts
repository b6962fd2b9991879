// A Python that has the torch of the LibTorch in use, for tests that ask PyTorch itself.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const libtorch: { path: string; version: string } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../build/libtorch.json'), 'utf8'),
)

/** Nothing, or why this Python cannot be asked. */
async function unfit(python: string, modules: string[]): Promise<string | undefined> {
  const code = `import ${['torch', ...modules].join(', ')}; print(torch.__version__)`
  try {
    const { stdout } = await run(python, ['-c', code])
    if (stdout.trim() === libtorch.version) return undefined
    return `${python} has torch ${stdout.trim()}, not ${libtorch.version}`
  } catch (error) {
    const { code, stderr, message } = error as Error & { code?: unknown; stderr?: string }
    if (code === 'ENOENT') return `${python} is not there`
    return `${python}: ${stderr?.trim().split('\n').at(-1) || message}`
  }
}

/** A Python that has the modules too, or what was wrong with each. MCLOSS_PYTHON is taken or refused. */
export async function findPython(
  ...modules: string[]
): Promise<{ python?: string; why: string; skipped: boolean }> {
  const named = process.env.MCLOSS_PYTHON
  // <prefix>/lib/python3.x/site-packages/torch: its own Python is <prefix>/bin/python3.
  const beside = /^(.*)\/lib\/python[\d.]+\/(?:site|dist)-packages\/torch$/.exec(libtorch.path)?.[1]
  const found = [...(beside ? [`${beside}/bin/python3`] : []), 'python3']
  const reasons: string[] = []
  for (const python of named ? [named] : found) {
    const reason = await unfit(python, modules)
    if (!reason) return { python, why: '', skipped: false }
    reasons.push(reason)
  }
  const why = `${named ? 'MCLOSS_PYTHON: ' : ''}${reasons.join('; ')}`
  return { why, skipped: !named }
}
