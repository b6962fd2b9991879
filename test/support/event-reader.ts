// TensorBoard's own reader of event files, where Python has it.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { findPython } from './python-with-torch.js'

export type Curves = Record<string, [step: number, value: number][]>

export const eventReader = await findPython('tensorboard')

/** What it finds in a folder. */
export function readEvents(folder: string): { files: Record<string, string>; curves: Curves } {
  const script = join(import.meta.dirname, '../reference/python/read_events.py')
  const text = execFileSync(eventReader.python ?? '', [script, folder], {
    encoding: 'utf8',
    stdio: 'pipe',
  })
  return JSON.parse(text)
}
