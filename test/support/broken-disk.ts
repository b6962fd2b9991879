// A disk that cannot do everything: operations of node:fs/promises that fail while `work` goes on.

import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { constants } from 'node:os'

type Operations = Record<string, (...args: never[]) => Promise<unknown>>
const real = { ...fs } as unknown as Operations

/** As the operating system would refuse. */
export function refusal(code: keyof typeof constants.errno, what = 'operation'): Error {
  return Object.assign(new Error(`${code}: refused, ${what}`), {
    errno: -constants.errno[code],
    code,
  })
}

/** `broken`: what each operation does first; it fails where that throws. */
export async function onBrokenDisk<Result>(
  broken: Record<string, (...args: string[]) => unknown>,
  work: () => Promise<Result>,
): Promise<Result> {
  const operations = fs as unknown as Operations
  for (const [name, first] of Object.entries(broken)) {
    operations[name] = async (...args: never[]) => {
      const instead = await first(...args)
      return instead ?? real[name]?.(...args)
    }
  }
  syncBuiltinESMExports()
  try {
    return await work()
  } finally {
    Object.assign(operations, Object.fromEntries(Object.keys(broken).map((n) => [n, real[n]])))
    syncBuiltinESMExports()
  }
}

/** A disk without symbolic links. */
export const withoutLinks = {
  symlink: () => {
    throw refusal('EPERM', 'symlink')
  },
}
