// The names last and best of a run: what they name, and what a path that a user gives stands for.
// A name is a symbolic link, or on a disk without links a small file that holds the link's target.

import { lstat, readFile, readlink, realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { McLossError } from '../errors.js'
import { isMissing, systemCodeOf, systemReason } from '../files/system-errors.js'
import { replaceLink } from './disk.js'
import { EMA_FILE, MANIFEST, MODEL_FILE } from './manifest.js'

export type LinkName = 'last' | 'best'
export const LINKS: readonly LinkName[] = ['last', 'best']

/** The folder of a run's checkpoints. */
export const CHECKPOINTS = 'checkpoints'
const MAX_TARGET_BYTES = 4096

/** Makes `last` or `best` of a run name a checkpoint, in one step. */
export async function pointLink(runDir: string, link: LinkName, checkpoint: string): Promise<void> {
  const path = join(runDir, link)
  // A copy that follows links (scp -r, cp -rL) has a checkpoint folder in the link's place.
  const isCopy = (await lstat(path).catch(() => undefined))?.isDirectory()
  if (isCopy && (await found(join(path, MANIFEST)))) await rm(path, { recursive: true })
  await replaceLink(path, join(CHECKPOINTS, checkpoint))
}

/** The name of the checkpoint that `last` or `best` of a run names; undefined if it names none. */
export async function linkedCheckpoint(
  runDir: string,
  link: LinkName,
): Promise<string | undefined> {
  const path = join(runDir, link)
  const target = await readlink(path).catch((error) => {
    if (isNothing(error)) return undefined
    if (systemCodeOf(error) === 'EINVAL') return targetInFile(path) // it is no link
    throw error // an unknown name must not make its checkpoint look unused
  })
  return target && basename(target)
}

/** What the small file in a link's place holds; undefined for anything else. */
async function targetInFile(path: string): Promise<string | undefined> {
  if (!(LINKS as string[]).includes(basename(path))) return undefined
  const info = await found(path)
  if (!info?.isFile() || info.size > MAX_TARGET_BYTES) return undefined
  return /^(checkpoints\/[^/\0\n]+)\n$/.exec(await readFile(path, 'utf8'))?.[1]
}

export interface Place {
  /** What was meant, absolute, for messages. */
  named: string
  /** The run folder it is or lies in. */
  runDir?: string
  /** The checkpoint folder, or a file, links followed; undefined where nothing is there. */
  path?: string
}

/**
 * What `given` stands for: a run folder (its `link`), last or best of one, a checkpoint folder, or a
 * file. Everything that takes such a path from a user asks here.
 *
 * @throws McLossError E_IO when it cannot be looked at.
 */
export async function locate(given: string, link: LinkName): Promise<Place> {
  const absolute = resolve(given)
  try {
    const isRun = (await found(join(absolute, CHECKPOINTS)))?.isDirectory() ?? false
    const named = isRun ? join(absolute, link) : absolute
    const path = await followed(named)
    const runDir = isRun ? absolute : path && runOf(path)
    return { named, ...(runDir && { runDir }), ...(path && { path }) }
  } catch (cause) {
    throw new McLossError(
      'E_IO',
      `checkpoint: ${absolute} cannot be looked at: ${systemReason(cause)}`,
      { cause },
    )
  }
}

/** The run folder of RUN/checkpoints/NAME and of a file in it. */
function runOf(path: string): string | undefined {
  for (const at of [path, dirname(path)]) {
    if (basename(dirname(at)) === CHECKPOINTS) return dirname(dirname(at))
  }
  return undefined
}

/** The real path, through a small file in a link's place too; undefined where nothing is there. */
async function followed(path: string): Promise<string | undefined> {
  const [folder, name] = [dirname(path), basename(path)]
  const [own, parents] = [await targetInFile(path), await targetInFile(folder)]
  const real = own ? join(folder, own) : parents ? join(dirname(folder), parents, name) : path
  return (await found(real)) && realpath(real)
}

/** As stat; undefined where nothing is there. */
async function found(path: string) {
  return stat(path).catch((error) => {
    if (isNothing(error)) return undefined
    throw error
  })
}

/** A link that leads in a circle is replaced like one that leads nowhere. */
const isNothing = (error: unknown) => isMissing(error) || systemCodeOf(error) === 'ELOOP'

/**
 * The model.safetensors that `given` stands for: the file itself, of a checkpoint folder, or of a
 * run's best checkpoint.
 *
 * @throws McLossError E_CHECKPOINT when there is none.
 */
export async function modelFileOf(given: string): Promise<string> {
  const { named, path } = await locate(given, 'best')
  for (const file of path ? [path, join(path, MODEL_FILE)] : []) {
    if ((await found(file))?.isFile()) return file
  }
  throw new McLossError(
    'E_CHECKPOINT',
    `mcloss: expected a model.safetensors, a checkpoint folder or a run folder, found none at ` +
      `${named}. A run prints its folder; its checkpoints are the links best and last in it.`,
  )
}

/**
 * The same of the average of the weights: an ema.safetensors.
 *
 * @throws McLossError E_WEIGHTS when there is none.
 */
export async function emaFileOf(given: string): Promise<string> {
  const { named, path } = await locate(given, 'best')
  const file = path && (basename(path) === EMA_FILE ? path : join(path, EMA_FILE))
  if (file && (await found(file))?.isFile()) return file
  throw new McLossError(
    'E_WEIGHTS',
    `mcloss: expected an ${EMA_FILE}, or a folder with one, but found none at ${named}. Runs with ` +
      'optim.ema keep one in each checkpoint; of others ask for the weights themselves, without ema.',
  )
}
