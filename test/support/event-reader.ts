// Readers of event files: TensorBoard's own, where Python has it, and a plain one that follows its rules
// (backend/event_processing/event_accumulator.py) for what is written here.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPython } from './python-with-torch.js'

export type Curves = Record<string, [step: number, value: number][]>

export const eventReader = await findPython('tensorboard')

/** What TensorBoard's reader finds in a folder. */
export function readEvents(folder: string): { files: Record<string, string>; curves: Curves } {
  const script = join(import.meta.dirname, '../reference/python/read_events.py')
  const text = execFileSync(eventReader.python ?? '', [script, folder], {
    encoding: 'utf8',
    stdio: 'pipe',
  })
  return JSON.parse(text)
}

/** What the plain reader finds: files by name; a start of a session drops its step and later ones. */
export function plainEvents(folder: string): Curves {
  const curves = new Map<string, [number, number][]>()
  for (const name of readdirSync(folder).sort()) {
    for (const record of recordsIn(readFileSync(join(folder, name)))) {
      const event = fieldsOf(record)
      const step = Number(event.get(2)?.[0] ?? 0)
      if (event.has(7)) {
        for (const [tag, points] of curves) {
          curves.set(
            tag,
            points.filter(([at]) => at < step),
          )
        }
      }
      for (const summary of event.get(5) ?? []) {
        for (const value of fieldsOf(summary as Buffer).get(1) ?? []) {
          const fields = fieldsOf(value as Buffer)
          const tag = String(fields.get(1)?.[0])
          const point = (fields.get(2) as [Buffer])[0].readFloatLE()
          curves.set(tag, [...(curves.get(tag) ?? []), [step, point]])
        }
      }
    }
  }
  return Object.fromEntries(curves)
}

function recordsIn(bytes: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at))
    records.push(bytes.subarray(at + 12, at + 12 + length))
    at += length + 16
  }
  return records
}

/** By number: whole numbers as they are, everything else as bytes. */
function fieldsOf(bytes: Buffer): Map<number, (bigint | Buffer)[]> {
  const fields = new Map<number, (bigint | Buffer)[]>()
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(bytes[at++] as number)
      value |= (byte & 127n) << shift
      if (byte < 128n) return value
    }
  }
  const taken = (length: number) => {
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const type = key & 7
    const value = type === 0 ? varint() : taken(type === 1 ? 8 : type === 5 ? 4 : Number(varint()))
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value])
  }
  return fields
}
