// Finding, listing and reading below a data root without ever leaving it: a symbolic link that
// points out of the root is refused.

import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { McLossError } from '../../../errors.js'

/** The real path of a data root. @throws McLossError E_DATA when it is no folder. */
export async function openRoot(root: string, expected: string): Promise<string> {
  const real = await realpath(root).catch(() => undefined)
  if (real !== undefined && (await stat(real)).isDirectory()) return real
  throw new McLossError(
    'E_DATA',
    `datasets: expected a data folder at ${root}, but ${real ? 'it is a file' : 'nothing is there'}. ` +
      expected,
  )
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
    const real = await realpath(join(root, folder))
    requireInside(root, real, join(root, folder))
    return real
  }
  throw new McLossError('E_DATA', `datasets: ${root} holds no ${files.join(' or ')}. ${expected}`)
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

/**
 * The bytes of a list or table below `root` (a real path).
 *
 * @throws McLossError E_DATA for one that is missing, no file, larger, or a link out of the root.
 */
export async function readInside(root: string, file: string, maxBytes: number): Promise<Buffer> {
  const unreadable = (cause: NodeJS.ErrnoException) => {
    throw new McLossError(
      'E_DATA',
      `datasets: the list ${file} cannot be read (${cause.code}). Unpack the data set again.`,
    )
  }
  const real = await realpath(file).catch(unreadable)
  requireInside(root, real, file)
  const info = await stat(real).catch(unreadable)
  if (!info.isFile() || info.size > maxBytes) {
    throw new McLossError(
      'E_DATA',
      `datasets: expected ${file} to be a file of at most ${maxBytes} bytes.`,
    )
  }
  return readFile(real).catch(unreadable)
}

export interface Entry {
  name: string
  kind: 'file' | 'folder' | 'other'
}

/**
 * The entries of a folder below `root` (a real path), sorted by code units; links followed, hidden
 * entries left out. Undefined where the folder does not exist. Without `checkFiles` a link that
 * points at nothing counts as a file.
 *
 * @throws McLossError E_DATA naming a link that leaves the root or points at nothing.
 */
export async function listInside(
  root: string,
  folder: string,
  checkFiles = true,
): Promise<Entry[] | undefined> {
  const real = await realpath(folder).catch(() => undefined)
  if (real === undefined) return undefined
  requireInside(root, real, folder)
  const dirents = await readdir(real, { withFileTypes: true }).catch((cause) => {
    throw new McLossError('E_DATA', `datasets: cannot list the folder ${folder} (${cause.code}).`)
  })
  const visible = dirents.filter(({ name }) => !name.startsWith('.'))
  visible.sort((a, b) => (a.name < b.name ? -1 : 1))
  return Promise.all(visible.map(async (dirent) => entryOf(root, folder, dirent, checkFiles)))
}

async function entryOf(
  root: string,
  folder: string,
  dirent: Dirent,
  checkFiles: boolean,
): Promise<Entry> {
  const { name } = dirent
  if (dirent.isFile()) return { name, kind: 'file' }
  if (dirent.isDirectory()) return { name, kind: 'folder' }
  if (!dirent.isSymbolicLink()) return { name, kind: 'other' }
  const path = join(folder, name)
  const real = await realpath(path).catch(() => {
    if (!checkFiles) return undefined
    throw new McLossError(
      'E_DATA',
      `datasets: the link ${path} points at nothing. Remove it or restore its target.`,
    )
  })
  if (real === undefined) return { name, kind: 'file' }
  requireInside(root, real, path)
  const target = await stat(real)
  return { name, kind: target.isFile() ? 'file' : target.isDirectory() ? 'folder' : 'other' }
}

function requireInside(root: string, real: string, path: string): void {
  if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return
  throw new McLossError(
    'E_DATA',
    `datasets: ${path} is a link that leaves the data root ${root} (to ${real}). ` +
      'Copy its target into the root, or link the whole root instead.',
  )
}
