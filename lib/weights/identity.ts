// Which file of weights it is: by its SHA-256, and by that whether it is a published one.

import { McLossError } from '../errors.js'
import { digestOfAll } from './digest.js'
import { isExpectedSize, problemOf } from './expected.js'
import { withFile } from './read.js'
import { type WeightRecord, weightRecords } from './records.js'

export interface Identity {
  bytes: number
  sha256: string
  /** Of the published file that it is. */
  record?: WeightRecord
}

/**
 * @param record of a file that was fetched by its name
 * @throws McLossError E_IO if it cannot be read; E_WEIGHTS if it is no longer what was fetched.
 */
export async function identify(path: string, record?: WeightRecord): Promise<Identity> {
  const digest = await withFile(path, (file) =>
    digestOfAll(file.createReadStream({ autoClose: false, highWaterMark: 2 ** 20 })),
  )
  const { bytes, sha256 } = digest
  const problem = record && problemOf(record, digest)
  if (record && problem) {
    throw new McLossError(
      'E_WEIGHTS',
      `weights: ${path} is not the file of ${record.name}: ${problem}. Remove it, then run 'mcloss ` +
        `weights fetch ${record.name}'.`,
    )
  }
  const known = record ?? weightRecords.find((one) => isFileOf(one, bytes, sha256))
  return { bytes, sha256, ...(known && { record: known }) }
}

function isFileOf(record: WeightRecord, bytes: number, sha256: string): boolean {
  return record.sha256 !== null && isExpectedSize(record, bytes) && sha256.startsWith(record.sha256)
}
