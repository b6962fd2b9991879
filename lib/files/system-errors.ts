// What an error of the system means for the file it is about, and what helps. Only ENOENT says that
// nothing is there; to take another error for it sends a user to look for a file that is in its place.

import { statSync } from 'node:fs'
import { constants } from 'node:os'
import { type ErrorCode, McLossError, reasonOf } from '../errors.js'

const SERVER = 'Mount it again, then start again.'
const DISK = "Copy what is still readable from the disk, and look into the system's log (dmesg)."
const MOVED = 'It was deleted, or its disk is gone: start again from another folder.'
const OPEN_FILES = 'Close some, or raise the limit: ulimit -n 65536.'

/** By code: what is the case, and what to do. */
const meanings: Readonly<Record<string, readonly [fault: string, advice: string]>> = {
  ENOENT: ['nothing is there', ''],
  EACCES: ['permission denied', 'Give this user the right to it, and to every folder above it.'],
  EPERM: ['the system does not allow it', 'Use another disk, or ask whoever runs this machine.'],
  ELOOP: ['its links lead in a circle', 'Remove the link, or point it elsewhere.'],
  ENOTDIR: ['it, or a part of its path, is no folder', 'Correct the path.'],
  EISDIR: ['it is a folder', 'Name a file.'],
  EEXIST: ['something else is there', 'Move it away, or take another name.'],
  ENAMETOOLONG: [
    'the path or a name in it is too long',
    'Shorten it: a name has at most 255 bytes.',
  ],
  ESTALE: ['the file server no longer knows it', SERVER],
  ENOTCONN: ['the file server does not answer', SERVER],
  ETIMEDOUT: ['the file server does not answer', SERVER],
  EHOSTDOWN: ['the file server does not answer', SERVER],
  EIO: ['the disk reports a fault', DISK],
  EUCLEAN: ['the file system is damaged', DISK],
  EMFILE: ['this process has too many files open', OPEN_FILES],
  ENFILE: ['the system has too many files open', OPEN_FILES],
  ENOSPC: ['the disk is full', 'Free some space.'],
  EDQUOT: ["this user's share of the disk is used up", 'Free some space, or ask for more.'],
  EFBIG: [
    'the disk, or a limit of this process, takes no file of that size',
    'Raise the limit (ulimit -f unlimited), or use another disk.',
  ],
  EROFS: ['the disk can only be read', 'Use another disk, or mount it for writing.'],
  EINVAL: ['the file system does not do that', 'Use another disk.'],
  ENOSYS: ['the file system does not do that', 'Use another disk.'],
  EOPNOTSUPP: ['the file system does not do that', 'Use another disk.'],
  EXDEV: ['it would lead to another disk', 'Use paths on one disk.'],
  EBUSY: ['another program uses it', 'End that program, then start again.'],
  ETXTBSY: ['another program uses it', 'End that program, then start again.'],
}

/** Node has no names for some numbers, EDQUOT and ESTALE among them. */
const codes = new Map(Object.entries(constants.errno).map(([code, errno]) => [-errno, code]))

/** As C says them: errors of the add-on have words alone. */
const spoken = {
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

/** Such as 'ENOSPC'; undefined for what does not come from the system. */
export function systemCodeOf(error: unknown): string | undefined {
  const { code, errno, message } = Object(error) as NodeJS.ErrnoException
  if (errno !== undefined) return codes.get(errno)
  if (code !== undefined && code in constants.errno) return code
  return Object.entries(spoken).find(([, words]) => message?.endsWith(words))?.[0]
}

/** What is the case, in words: 'permission denied (EACCES)'. An error that is none of the system's: its own. */
export function systemFault(error: unknown): string {
  const code = systemCodeOf(error) ?? ''
  const meaning = meanings[code]
  return meaning ? `${meaning[0]} (${code})` : reasonOf(error)
}

/** What is the case and what to do, as sentences; `missing` is what to do where nothing is there. */
export function systemReason(error: unknown, missing = ''): string {
  const code = systemCodeOf(error) ?? ''
  const { path, syscall } = Object(error) as NodeJS.ErrnoException
  if (syscall === 'uv_cwd')
    return `the folder that this process runs in: ${systemFault(error)}. ${MOVED}`
  const notFound = code === 'ENOENT' ? (notExpanded(path) ?? missing) : ''
  const advice = [meanings[code]?.[1] || notFound]
  if (path?.includes('\ufffd')) {
    advice.push('U+FFFD in the path stands for bytes that are not UTF-8: rename what bears them.')
  }
  const fault = systemFault(error)
  return [fault.endsWith('.') ? fault : `${fault}.`, ...advice].filter(Boolean).join(' ')
}

/** What a shell or a browser would have made a path of. */
function notExpanded(path = ''): string | undefined {
  const url = /(?:^|\/)([a-z][a-z0-9+.-]+):\/(?!\w:)/i.exec(path)?.[1]
  if (url) return `A URL (${url}:) is no path: fetch the file, then give its path.`
  if (!/(?:^|\/)(?:~|\$\w+|\$\{\w+\})(?:\/|$)/.test(path)) return undefined
  return 'Only a shell puts a folder in place of ~ and $NAME, outside of quotes: write the whole path.'
}

/** Nothing is at the path, or could be: a part of it is a file. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')
}

/**
 * What a call on a file gives; undefined where nothing is there.
 *
 * @throws McLossError of `code`, '`what`: permission denied (EACCES). ...', for any other error.
 */
export function unlessMissing<T>(
  call: Promise<T>,
  code: ErrorCode,
  what: string,
): Promise<T | undefined> {
  return call.catch((cause) => {
    if (isMissing(cause)) return undefined
    throw new McLossError(code, `${what}: ${systemReason(cause)}`, { cause })
  })
}

/** What keeps a path from being used, as systemFault; undefined where something is there. */
export function faultAt(path: string): string | undefined {
  try {
    statSync(path)
    return undefined
  } catch (error) {
    return systemFault(error)
  }
}
