// Where a report goes. An earlier report is replaced; another file is not.

import { open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { McLossError } from '../errors.js'
import { replaceFile } from '../files/replace.js'
import { faultAt, systemReason, unlessMissing } from '../files/system-errors.js'
import { GENERATOR } from './page.js'

const HEAD_BYTES = 4096

/**
 * Whether an earlier report is there. Asked before the work whose result goes there.
 *
 * @throws McLossError E_ARGUMENT for another file or a folder, E_IO for a folder that is not there.
 */
export async function checkPlace(out: string): Promise<boolean> {
  const path = resolve(out)
  const fault = faultAt(dirname(path))
  if (fault) throw new McLossError('E_IO', `report: ${dirname(path)}: ${fault}. Make it first.`)
  const info = await unlessMissing(stat(path), 'E_IO', `report: ${path}`)
  if (!info) return false
  if (info.isFile() && (await isReport(path))) return true
  throw new McLossError(
    'E_ARGUMENT',
    `report: expected a new file or an earlier report, but ${path} is ${info.isFile() ? 'another file' : 'no file'}. ` +
      'It is left as it is; name another with --out.',
  )
}

async function isReport(path: string): Promise<boolean> {
  const file = await open(path).catch((cause) => {
    throw new McLossError('E_IO', `report: ${path} cannot be read: ${systemReason(cause)}`, {
      cause,
    })
  })
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
    return buffer
      .toString('utf8', 0, bytesRead)
      .includes(`<meta name="generator" content="${GENERATOR}">`)
  } finally {
    await file.close()
  }
}

/** @throws McLossError E_IO */
export async function writePage(out: string, page: string): Promise<void> {
  const path = resolve(out)
  await replaceFile(path, page).catch((cause) => {
    throw new McLossError(
      'E_IO',
      `report: ${path} cannot be written: ${systemReason(cause)} --out can name another file.`,
      { cause },
    )
  })
}
