// JSON that a person writes: what JSON.parse says of it, with the line, and no key twice.

import { reasonOf } from '../errors.js'

/** @throws SyntaxError "line L: what is wrong". */
export function parsedJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const reason = reasonOf(error)
    const at = /at position (\d+)/.exec(reason)?.[1]
    const line = at === undefined ? '' : `line ${lineAt(text, Number(at))}: `
    throw new SyntaxError(`${line}${reason}. JSON has no comments, and no comma before } or ]`)
  }
  refuseRepeatedKeys(text)
  return value
}

/** JSON.parse keeps the last of two values. `text` is valid. */
function refuseRepeatedKeys(text: string): void {
  const open: Set<string>[] = []
  for (const { 0: token, 1: quoted, 2: colon, index } of text.matchAll(
    /[{}[\]]|("(?:[^"\\]|\\.)*")(\s*:)?/g,
  )) {
    if (token === '{' || token === '[') open.push(new Set())
    else if (quoted === undefined) open.pop()
    else if (colon !== undefined) {
      const keys = open.at(-1) as Set<string>
      const key: string = JSON.parse(quoted)
      if (keys.has(key))
        throw new SyntaxError(`line ${lineAt(text, index)}: the key ${quoted} twice`)
      keys.add(key)
    }
  }
}

const lineAt = (text: string, at: number) => text.slice(0, at).split('\n').length
