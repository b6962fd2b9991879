// The pictures that prediction is asked about: files by name, all in a folder, or those that a glob matches.

import { stat } from 'node:fs/promises'
import { relative } from 'node:path'
import picomatch from 'picomatch'
import { type FolderImages, imagesIn } from '../data/folder-images.js'
import { McLossError } from '../errors.js'
import { systemFault } from '../files/system-errors.js'

/** A file to decode; with an error there is none behind the path. */
export interface Picture {
  path: string
  error?: McLossError
}

/**
 * What is there is taken as it is, whatever its name: a file itself, a folder its images. Of the rest, globs
 * are the images that they match.
 *
 * @throws McLossError E_ARGUMENT for a glob that says what it does not match.
 */
export async function picturesOf(
  who: string,
  paths: readonly string[],
  warn: (message: string) => void,
): Promise<Picture[]> {
  const pictures: Picture[] = []
  for (const path of paths) {
    const info = await stat(path).catch(() => undefined) // decoding says what a missing file is
    const found = info?.isDirectory() ? imagesIn(path) : info ? undefined : matchedBy(who, path)
    if (!found) pictures.push({ path })
    else for (const picture of picturesIn(who, path, await found, warn)) pictures.push(picture)
  }
  return pictures
}

/** Undefined for a path that is no glob. */
function matchedBy(who: string, path: string): Promise<FolderImages> | undefined {
  const { base, glob, isGlob, negated } = picomatch.scan(path)
  if (!isGlob) return undefined
  if (!negated) return imagesMatching(base.replace(/\\(.)/g, '$1') || '.', glob)
  throw new McLossError(
    'E_ARGUMENT',
    `${who}: expected a glob that says which images are meant, but received '${path}', whose ! leaves some ` +
      "out. Write the exception inside the glob, such as 'photos/!(a|b).jpg', or \\! for a name with it.",
  )
}

async function imagesMatching(folder: string, glob: string): Promise<FolderImages> {
  const matches = picomatch(glob)
  const isMatched = (path: string) => matches(relative(folder, path))
  const mayBeDeep = /\*\*|\(/.test(glob)
  const depth = mayBeDeep ? Number.POSITIVE_INFINITY : glob.split('/').length - 1
  const { images, leftOut, unreadable } = await imagesIn(folder, depth)
  return { images: images.filter(isMatched), leftOut: leftOut.filter(isMatched), unreadable }
}

/** `place`: the folder or the glob. */
function picturesIn(
  who: string,
  place: string,
  { images, leftOut, unreadable }: FolderImages,
  warn: (message: string) => void,
): Picture[] {
  if (leftOut.length > 0) {
    warn(
      `${who}: ${leftOut.length} files in ${place} are no images by their ending and were left ` +
        `out, the first is ${leftOut[0]}.`,
    )
  }
  const pictures: Picture[] = images.map((path) => ({ path }))
  for (const { path, cause } of unreadable) {
    pictures.push(noPictures(who, path, `cannot be listed: ${systemFault(cause)}`, cause))
  }
  return pictures.length > 0 ? pictures : [noPictures(who, place, 'has none')]
}

function noPictures(who: string, path: string, what: string, cause?: unknown): Picture {
  const message =
    `${who}: expected images ending in .jpg, .jpeg, .png or .webp in a folder that can be listed, ` +
    `but ${path} ${what}. Name the files, or another folder.`
  return { path, error: new McLossError('E_DATA', message, { cause }) }
}
