// RUN/environment.json: what a run was computed with, an entry for each start of it.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { native } from '../binding.js'
import { McLossError } from '../errors.js'
import { unlessMissing } from '../files/system-errors.js'
import { packageVersion } from '../machine.js'
import { gpusOf, output } from '../programs.js'
import { replaceRecord } from './files.js'

/** What a run knows of itself when it starts or goes on. */
export interface Beginning {
  /** Epochs and steps that were done before. */
  epoch: number
  step: number
  device: 'cpu' | 'cuda'
  threads: number
  /** As JSON holds it. */
  config: object
}

/** Adds an entry; those of earlier starts stay as they are. */
export async function recordEnvironment(path: string, beginning: Beginning): Promise<void> {
  const entries = [...(await earlierEntries(path)), await environmentOf(beginning)]
  await replaceRecord(path, `${JSON.stringify(entries, null, 2)}\n`)
}

async function earlierEntries(path: string): Promise<unknown[]> {
  const text = await unlessMissing(readFile(path, 'utf8'), 'E_IO', `records: ${path}`)
  if (text === undefined) return []
  try {
    const entries: unknown = JSON.parse(text)
    if (Array.isArray(entries)) return entries
  } catch {}
  throw new McLossError(
    'E_IO',
    `records: expected ${path} to be the JSON array that a run keeps there, but it is not. Move it away, ` +
      'then start again.',
  )
}

async function environmentOf({ epoch, step, device, threads, config }: Beginning) {
  const { libtorch, cuda, cudnn, cpuCapability } = native().buildInfo()
  const [git, gpus] = await Promise.all([gitOf(), device === 'cuda' ? gpusOf() : undefined])
  return {
    started: new Date().toISOString(),
    epoch,
    step,
    mcloss: packageVersion(),
    libtorch,
    cuda,
    cudnn,
    node: process.version,
    platform: `${process.platform} ${process.arch} ${release()}`,
    device,
    ...gpus,
    threads,
    processor: cpus()[0]?.model ?? null,
    processors: availableParallelism(),
    cpuCapability,
    memoryBytes: totalmem(),
    git,
    configSha256: createHash('sha256').update(JSON.stringify(config)).digest('hex'),
  }
}

/**
 * Of the folder that the process runs in; null without git, a repository or a commit. Dirty: a tracked
 * file differs from the commit.
 */
async function gitOf(): Promise<{ commit: string; dirty: boolean | null } | null> {
  const git = (...args: string[]) =>
    output('git', ['--no-optional-locks', '-c', 'core.fsmonitor=false', ...args])
  const commit = (await git('rev-parse', '--verify', 'HEAD'))?.trim()
  if (!commit) return null
  const changes = await git('status', '--porcelain', '--untracked-files=no')
  return { commit, dirty: changes === null ? null : changes !== '' }
}
