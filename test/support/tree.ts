// A folder of files for a test: paths to contents; removed after the test file.

import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect } from 'vitest'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** A new folder with these files in it: relative path to content; returns its path. */
export async function tree(files: Record<string, string> = {}): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'mcloss-data-'))
  folders.push(root)
  const entries = Object.entries(files)
  for (const folder of new Set(entries.map(([path]) => dirname(path)))) {
    await mkdir(join(root, folder), { recursive: true })
  }
  await Promise.all(entries.map(([path, content]) => writeFile(join(root, path), content)))
  return root
}

/** Files without content: nothing here opens an image. */
export function empty(...paths: string[]): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, '']))
}

export function dataError(...parts: string[]) {
  const message = expect.stringMatching(
    new RegExp(
      parts.map((part) => `(?=.*${part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`).join(''),
    ),
  )
  return expect.objectContaining({ code: 'E_DATA', message })
}
