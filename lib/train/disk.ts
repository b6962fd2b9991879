// What a run asks of the disk: files and folders that a power cut does not take, files replaced in
// one step. Disks differ in what they can do, so a run tries it before its work starts.

import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { McLossError } from '../errors.js'
import { systemCodeOf, systemReason } from '../files/system-errors.js'

export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** How disks say that they cannot flush a folder. */
const NO_FOLDER_FLUSH = ['EINVAL', 'EPERM', 'EACCES', 'EISDIR', 'EBADF', 'ENOSYS', 'EOPNOTSUPP']

/** Returns whether the disk can do it; every other error is thrown. */
export async function flushFolder(path: string): Promise<boolean> {
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
    return true
  } catch (error) {
    if (NO_FOLDER_FLUSH.includes(systemCodeOf(error) ?? '')) return false
    throw error
  }
}

/**
 * Makes `path` a link to `target` in one step, whatever file or link is there; where the disk takes
 * no links, a small file that holds the target. Returns which of the two it made.
 */
export async function replaceLink(path: string, target: string): Promise<'link' | 'file'> {
  const unfinished = join(dirname(path), `.${basename(path)}.tmp`)
  await rm(unfinished, { force: true })
  // Disks refuse a link with many codes; if the cause is another one, the file meets it too.
  const made = await symlink(target, unfinished).then(
    () => 'link' as const,
    () => 'file' as const,
  )
  if (made === 'file') await writeFlushed(unfinished, `${target}\n`)
  await rename(unfinished, path)
  return made
}

/**
 * Tries in `folder`, which is made if it is not there, all that a run will do with its files.
 * Returns a warning for each thing that it does in another way on this disk.
 *
 * @throws McLossError E_IO for what it cannot do without.
 */
export async function tryDisk(folder: string): Promise<string[]> {
  const warnings: string[] = []
  let trial = folder
  try {
    await mkdir(folder, { recursive: true })
    trial = join(folder, `.trial-${randomUUID()}`)
    const [first, second] = [join(trial, 'first'), join(trial, 'second')]
    await mkdir(join(trial, 'folder'), { recursive: true })
    await writeFlushed(first, '1')
    await writeFlushed(second, '2')
    await rename(second, first)
    if ((await readFile(first, 'utf8')) !== '2') throw new Error('a renamed file is not replaced')
    await rename(join(trial, 'folder'), join(trial, 'renamed'))
    const link = join(trial, 'link')
    const made = [await replaceLink(link, 'first'), await replaceLink(link, 'renamed')]
    if (made.includes('file')) {
      warnings.push(
        `train: the disk of ${folder} takes no symbolic links, so the run's last and best are small ` +
          'files that name their checkpoints; mcloss reads them as it reads links.',
      )
    }
    if (!(await flushFolder(trial))) {
      warnings.push(
        `train: the disk of ${folder} cannot flush folders, so a power cut may take the ` +
          'newest checkpoints.',
      )
    }
    return warnings
  } catch (cause) {
    throw new McLossError(
      'E_IO',
      `train: a run cannot keep its files in ${folder}: ${systemReason(cause)} ` +
        'out can name another folder.',
      { cause },
    )
  } finally {
    if (trial !== folder) await rm(trial, { recursive: true, force: true }).catch(() => {})
  }
}
