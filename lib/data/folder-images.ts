// The images in a folder, however deep, by the endings of their names: as many as can be had, from
// wherever its links lead. Data sets are read more strictly (datasets/lists/images-below.ts).

import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isRead } from './datasets/lists/left-out.js'

export interface FolderImages {
  images: string[]
  /** Files of other endings. */
  leftOut: string[]
  /** Folders that cannot be listed. */
  unreadable: { path: string; cause: NodeJS.ErrnoException }[]
}

/**
 * Links are followed, but not back into a folder they lie in; hidden entries are left out silently.
 * Each list is sorted by code units. `depth`: of the folders below that are looked into. Default: all.
 */
export async function imagesIn(
  folder: string,
  depth = Number.POSITIVE_INFINITY,
): Promise<FolderImages> {
  const found: FolderImages = { images: [], leftOut: [], unreadable: [] }
  await walk(folder, [], depth, found)
  found.images.sort()
  found.leftOut.sort()
  found.unreadable.sort((a, b) => (a.path < b.path ? -1 : 1))
  return found
}

async function walk(
  folder: string,
  above: readonly string[],
  depth: number,
  found: FolderImages,
): Promise<void> {
  try {
    const real = await realpath(folder)
    if (above.includes(real)) return
    for (const entry of await readdir(real, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      // A link to nothing is a file whose decoding says so.
      const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry
      if (target?.isDirectory()) {
        if (above.length < depth) await walk(path, [...above, real], depth, found)
      } else (isRead(entry.name) ? found.images : found.leftOut).push(path)
    }
  } catch (cause) {
    found.unreadable.push({ path: folder, cause: cause as NodeJS.ErrnoException })
  }
}
