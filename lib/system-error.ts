// Errors of the operating system: which one it was, and what helps against it.

import { constants } from 'node:os'

/** Node has no names for some numbers, EDQUOT and ESTALE among them. */
const names = new Map(Object.entries(constants.errno).map(([name, errno]) => [-errno, name]))

/** As C says them: errors of the add-on have words alone. */
const WORDS = {
  EACCES: 'Permission denied',
  EDQUOT: 'Disk quota exceeded',
  EFBIG: 'File too large',
  EIO: 'Input/output error',
  EMFILE: 'Too many open files',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  ESTALE: 'Stale file handle',
}

/** Such as 'ENOSPC'; undefined for what does not come from the operating system. */
export function systemCodeOf(error: unknown): string | undefined {
  const { errno, message } = Object(error) as NodeJS.ErrnoException
  if (errno !== undefined) return names.get(errno)
  return Object.entries(WORDS).find(([, words]) => message?.endsWith(words))?.[0]
}

const ADVICE: [string, ...codes: string[]][] = [
  ['Free some space', 'ENOSPC', 'EDQUOT'],
  ['Choose a folder that you may write to', 'EACCES', 'EROFS'],
  ['Choose a folder that you may write to, on a disk that allows this', 'EPERM', 'EOPNOTSUPP'],
  ['Choose a folder on a disk that allows this', 'EINVAL', 'ENOSYS', 'EXDEV'],
  ['Check the disk or the network drive', 'EIO', 'ESTALE', 'ENODEV', 'ENXIO', 'ETIMEDOUT'],
  ['Raise the limit of open files (ulimit -n)', 'EMFILE', 'ENFILE'],
  ['Raise the limit of file sizes (ulimit -f), or choose a disk of larger files', 'EFBIG'],
  ['Choose a shorter path', 'ENAMETOOLONG'],
  ['See what moves or removes files there', 'ENOENT'],
  ['Move away what is in the way', 'EEXIST', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY'],
]

/** What helps where a file cannot be written: the start of a sentence, such as 'Free some space'. */
export function writeAdviceFor(error: unknown): string {
  const code = systemCodeOf(error)
  const found = ADVICE.find(([, ...codes]) => code !== undefined && codes.includes(code))
  return found?.[0] ?? 'Remove the cause'
}
