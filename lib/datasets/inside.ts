// Listing folders of a data root without ever leaving it: a symbolic link that points out of the
// root is refused.

import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { McLossError } from '../errors.js'

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

export interface Entry {
  name: string
  kind: 'file' | 'folder' | 'other'
}

/**
 * The entries of a folder below `root` (a real path), sorted by code units; links followed, hidden
 * entries left out. Undefined where the folder does not exist.
 *
 * @throws McLossError E_DATA naming a link that leaves the root or points at nothing.
 */
export async function listInside(root: string, folder: string): Promise<Entry[] | undefined> {
  const real = await realpath(folder).catch(() => undefined)
  if (real === undefined) return undefined
  requireInside(root, real, folder)
  const dirents = await readdir(real, { withFileTypes: true }).catch((cause) => {
    throw new McLossError('E_DATA', `datasets: cannot list the folder ${folder} (${cause.code}).`)
  })
  const visible = dirents.filter(({ name }) => !name.startsWith('.'))
  visible.sort((a, b) => (a.name < b.name ? -1 : 1))
  return Promise.all(visible.map(async (dirent) => entryOf(root, folder, dirent)))
}

async function entryOf(root: string, folder: string, dirent: Dirent): Promise<Entry> {
  const { name } = dirent
  if (dirent.isFile()) return { name, kind: 'file' }
  if (dirent.isDirectory()) return { name, kind: 'folder' }
  if (!dirent.isSymbolicLink()) return { name, kind: 'other' }
  const path = join(folder, name)
  const real = await realpath(path).catch(() => {
    throw new McLossError(
      'E_DATA',
      `datasets: the link ${path} points at nothing. Remove it or restore its target.`,
    )
  })
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
