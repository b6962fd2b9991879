// The images a data set's lists name: paths that stay in their folder, files that are there.

import { basename, dirname, join, normalize } from 'node:path'
import { listInside } from './inside.js'
import { type Place, placeError } from './place.js'

export interface ListedFile {
  /** Absolute. */
  path: string
  place: Place
}

/**
 * `name` as a path below `folder`.
 *
 * @throws McLossError E_DATA naming the place of a name that is absolute, leads out of the folder or
 * has a backslash or NUL.
 */
export function listedFile(folder: string, name: string, place: Place): ListedFile {
  const path = normalize(name)
  if (/^\.{1,2}(\/|$)|^\/|\/$|[\0\\]/.test(path)) {
    throw placeError(place, `the path of a file within ${folder}`, name)
  }
  return { path: join(folder, path), place }
}

/**
 * Requires that no file is listed twice, none is a link out of `root` (a real path) and, unless
 * `checkFiles` is false, all are there. One listing a folder instead of one question a file: 200
 * calls for CUB's 11,788 images.
 *
 * @throws McLossError E_DATA naming the place or the link.
 */
export async function requireFiles(
  root: string,
  files: readonly ListedFile[],
  checkFiles = true,
): Promise<void> {
  const folders = new Map<string, Set<string>>()
  const seen = new Map<string, Place>()
  for (const { path, place } of files) {
    const folder = dirname(path)
    let names = folders.get(folder)
    if (names === undefined) {
      const entries = (await listInside(root, folder, checkFiles)) ?? []
      names = new Set(entries.filter(({ kind }) => kind === 'file').map(({ name }) => name))
      folders.set(folder, names)
    }
    const earlier = seen.get(path)
    if (earlier) {
      throw placeError(place, `a file that ${earlier.file} ${earlier.at} does not list`, path)
    }
    seen.set(path, place)
    if (checkFiles && !names.has(basename(path)))
      throw placeError(place, 'a file that exists', path)
  }
}
