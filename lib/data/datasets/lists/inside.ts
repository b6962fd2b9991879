// Finding, listing and reading below a data root without ever leaving it: a symbolic link that
// points out of the root is refused.

import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { McLossError } from '../../../errors.js'
import { realPath, shownName } from '../../../files/names.js'
import { systemReason, unlessMissing } from '../../../files/system-errors.js'

/** The real path of a data root. @throws McLossError E_DATA when it is no folder. */
export async function openRoot(root: string, expected: string): Promise<string> {
  const refuse = (what: string, cause?: unknown): never => {
    const message = `datasets: expected a data folder at ${root}: ${what} ${expected}`
    throw new McLossError('E_DATA', message, { cause })
  }
  const unreadable = (cause: unknown) => refuse(systemReason(cause), cause)
  const real = await realPath(root).catch(unreadable)
  const info = await stat(real).catch(refuse)
  return info.isDirectory() ? real : refuse('it is a file.')
}

/**
 * The real path of the first of `folders` (below `root`, a real path) that holds one of `files`.
 *
 * @throws McLossError E_DATA for none, saying what is `expected`; for a link that leaves the root.
 */
export async function findFolder(
  root: string,
  folders: readonly string[],
  files: readonly string[],
  expected: string,
): Promise<string> {
  for (const folder of folders) {
    const found = await Promise.all(files.map((file) => isFile(join(root, folder, file))))
    if (!found.includes(true)) continue
    const path = join(root, folder)
    const real = await realPath(path).catch((cause) => {
      throw unreadable(path, cause)
    })
    requireInside(root, real, path)
    return real
  }
  throw new McLossError('E_DATA', `datasets: ${root} holds no ${files.join(' or ')}. ${expected}`)
}

/** @throws McLossError E_DATA where it cannot be told. */
export async function isFile(path: string): Promise<boolean> {
  return (await found(stat(path), path))?.isFile() ?? false
}

const found = <T>(call: Promise<T>, path: string) =>
  unlessMissing(call, 'E_DATA', `datasets: ${path} cannot be read`)

function unreadable(path: string, cause: unknown, missing?: string): McLossError {
  const reason = systemReason(cause, missing)
  return new McLossError('E_DATA', `datasets: ${path} cannot be read: ${reason}`, { cause })
}

/**
 * The bytes of a list or table below `root` (a real path).
 *
 * @throws McLossError E_DATA for one that is missing, no file, larger, or a link out of the root.
 */
export async function readInside(root: string, file: string, maxBytes: number): Promise<Buffer> {
  const refuse = (cause: unknown): never => {
    throw unreadable(`the list ${file}`, cause, 'Unpack the data set again.')
  }
  const real = await realPath(file).catch(refuse)
  requireInside(root, real, file)
  const info = await stat(real).catch(refuse)
  if (!info.isFile() || info.size > maxBytes) {
    throw new McLossError(
      'E_DATA',
      `datasets: expected ${file} to be a file of at most ${maxBytes} bytes.`,
    )
  }
  return readFile(real).catch(refuse)
}

export interface Entry {
  /** As shownName: what is not UTF-8 names no file. */
  name: string
  isUtf8: boolean
  kind: 'file' | 'folder' | 'other'
}

export const isHidden = ({ name }: Entry) => name.startsWith('.')

/**
 * The entries of a folder below `root` (a real path), sorted by code units. Links are followed;
 * hidden ones are 'other'. Undefined where the folder does not exist. Without `checkFiles` a link
 * that cannot be followed counts as a file.
 *
 * @throws McLossError E_DATA naming a link that leaves the root or points at nothing.
 */
export async function listInside(
  root: string,
  folder: string,
  checkFiles = true,
): Promise<Entry[] | undefined> {
  const real = await found(realPath(folder), folder)
  if (real === undefined) return undefined
  requireInside(root, real, folder)
  const dirents = await readdir(real, { withFileTypes: true, encoding: 'buffer' }).catch(
    (cause) => {
      throw unreadable(folder, cause)
    },
  )
  const entries = dirents.map((dirent) => entryOf(root, folder, dirent, checkFiles))
  return (await Promise.all(entries)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function entryOf(
  root: string,
  folder: string,
  dirent: Dirent<Buffer>,
  checkFiles: boolean,
): Promise<Entry> {
  const name = shownName(dirent.name)
  const entry = (kind: Entry['kind']) => ({ name, isUtf8: isUtf8(dirent.name), kind })
  const kindOf = (info: Pick<Dirent, 'isFile' | 'isDirectory'>) =>
    info.isFile() ? 'file' : info.isDirectory() ? 'folder' : 'other'
  if (!dirent.isSymbolicLink() || name.startsWith('.')) return entry(kindOf(dirent))
  const path = join(folder, name)
  const bytes = Buffer.concat([Buffer.from(folder + sep), dirent.name])
  try {
    const real = await realpath(bytes, { encoding: 'buffer' })
    requireInside(root, shownName(real), path)
    return entry(kindOf(await stat(real)))
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    if (!checkFiles) return entry('file')
    throw brokenLink(path, cause)
  }
}

function brokenLink(path: string, cause: unknown): McLossError {
  const { code } = cause as NodeJS.ErrnoException
  const reason = systemReason(cause, 'Remove it or restore its target.')
  const what = code === 'ENOENT' ? 'points at nothing' : 'cannot be followed'
  return new McLossError('E_DATA', `datasets: the link ${path} ${what}: ${reason}`, { cause })
}

function requireInside(root: string, real: string, path: string): void {
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return
  throw new McLossError(
    'E_DATA',
    `datasets: ${path} is a link that leaves the data root ${root} (to ${real}). ` +
      'Copy its target into the root, or link the whole root instead.',
  )
}
