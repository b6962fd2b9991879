// The image files of a folder and of the folders below it.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { McLossError } from '../../../errors.js'
import { notUtf8, realPath } from '../../../files/names.js'
import { type Entry, isHidden, listInside } from './inside.js'
import { isRead, isUnreadImage, type LeftOut } from './left-out.js'

export interface Found {
  /** Folder by folder in the order of their paths, then of the names: torchvision's order. */
  images: string[]
  leftOut: LeftOut[]
}

/**
 * Reads below `folder`, itself below `root` (a real path), as torchvision's ImageFolder reads a class;
 * links to folders are followed. Hidden entries are left out.
 *
 * @throws McLossError E_DATA as listInside; for a link to a folder that it lies in; for a folder or
 * image whose name is not UTF-8.
 */
export async function imagesBelow(
  root: string,
  folder: string,
  checkFiles?: boolean,
): Promise<Found> {
  const leftOut: LeftOut[] = []
  const folders = new Map<string, string[]>()
  const walk = async (path: string, above: readonly string[]) => {
    const entries = await listInside(root, path, checkFiles)
    if (entries === undefined) return // it has just been removed
    const images: string[] = []
    folders.set(path, images)
    const real = await realPath(path)
    if (above.includes(real)) throw circle(path, real)
    for (const entry of entries) {
      const at = join(path, entry.name)
      if (isHidden(entry)) leftOut.push(...(await hiddenImages(at, entry)))
      else if (entry.kind === 'folder') {
        requireUtf8(path, entry)
        await walk(at, [...above, real])
      } else if (entry.kind === 'other') leftOut.push({ reason: 'special', path: at })
      else if (isRead(entry.name)) {
        requireUtf8(path, entry)
        images.push(at)
      } else leftOut.push({ reason: isUnreadImage(entry.name) ? 'format' : 'ending', path: at })
    }
  }
  await walk(folder, [])
  const inOrder = [...folders].sort(([a], [b]) => (a < b ? -1 : 1))
  return { images: inOrder.flatMap(([, images]) => images), leftOut }
}

/** @throws McLossError E_DATA showing the bytes of a name that is not UTF-8. */
export function requireUtf8(folder: string, { name, isUtf8 }: Entry): void {
  if (isUtf8) return
  throw new McLossError('E_DATA', `datasets: in ${folder}, ${notUtf8(name)}.`)
}

/** The images that a hidden entry is or holds. */
export async function hiddenImages(path: string, { name, kind }: Entry): Promise<LeftOut[]> {
  if (kind === 'file') return isImage(name) ? [{ reason: 'hidden', path }] : []
  return kind === 'folder' ? unreadImages(path, 'hidden') : []
}

/** The images below a folder that is not read, so it need not be readable: a .Trash-0 is root's. */
export async function unreadImages(folder: string, reason: LeftOut['reason']): Promise<LeftOut[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  return names.filter(isImage).map((name) => ({ reason, path: join(folder, name) }))
}

/** Names with ._ are macOS's notes on other files. */
const isImage = (path: string) => !/(^|\/)\._/.test(path) && (isRead(path) || isUnreadImage(path))

function circle(path: string, real: string): McLossError {
  return new McLossError(
    'E_DATA',
    `datasets: the link ${path} leads back to ${real}, in which it lies. Remove it.`,
  )
}
