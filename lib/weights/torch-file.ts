// What both readers of torch's files give: the object that was saved, and where its storages lie.

import type { Value } from './pickle-values.js'

export interface TorchFile {
  object: Value
  /** By key: bytes of the file. */
  storages: Map<string, { begin: number; end: number }>
  /** Storages in the file that nothing in it refers to. */
  unused: number
  /** Holds the storages with these keys against the file's checksums. Throws a Refusal. */
  check(keys: Set<string>): Promise<'checked' | 'not checked'>
}
