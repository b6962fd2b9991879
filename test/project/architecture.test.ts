// The layers of docs/architecture.md hold: lib/ imports only from rows above, the native core never
// includes Node's headers, native/ includes point down only.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const rows = layers(readFileSync(join(root, 'docs/architecture.md'), 'utf8'))

function layers(page: string): string[][] {
  const block = /## Layers[\s\S]*?\n\n((?: {4}.*\n)+)/g
  const [, text = ''] = [...page.matchAll(block)].at(-1) ?? []
  return text
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
}

function filesUnder(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name))
}

/** datasets/cub200.ts belongs to row `datasets`, config-errors.ts to `config`. */
function rowOf(path: string): number {
  const name = path.replace(/^lib\//, '').replace(/\.[jt]s$/, '')
  const row = rows.findIndex((names) =>
    names.some(
      (entry) => name === entry || name.startsWith(`${entry}/`) || name.startsWith(`${entry}-`),
    ),
  )
  if (row < 0) throw new Error(`${path} is in no row of docs/architecture.md`)
  return row
}

test('lib/ imports only from rows above its own, or from its own part', () => {
  expect(rows.length).toBeGreaterThan(8)
  const wrong: string[] = []
  for (const file of filesUnder('lib', /\.ts$/)) {
    const source = readFileSync(join(root, file), 'utf8')
    for (const [, target = ''] of source.matchAll(/from '(\.[^']+)'/g)) {
      const path = join(file, '..', target)
      const part = (name: string) => name.replace(/^lib\//, '').split(/[/.-]/)[0]
      if (rowOf(path) >= rowOf(file) && part(path) !== part(file)) wrong.push(`${file} -> ${path}`)
    }
  }
  expect(wrong).toEqual([])
})

test('only images imports sharp, only binding loads the add-on, only cli prints or exits', () => {
  for (const file of filesUnder('lib', /\.ts$/)) {
    const source = readFileSync(join(root, file), 'utf8')
    if (file !== 'lib/data/images.ts') expect(source, file).not.toMatch(/from 'sharp'/)
    if (file !== 'lib/binding.ts') expect(source, file).not.toMatch(/createRequire|dlopen/)
    if (file !== 'lib/cli/main.ts') expect(source, file).not.toMatch(/console\.|process\.exit\(/)
  }
})

test('native/ includes point down only, and napi.h stays in napi/', () => {
  const order = ['types.h', 'scalars.h', 'ops', 'io', 'models', 'losses', 'train', 'napi']
  const wrong: string[] = []
  for (const file of filesUnder('native', /\.(h|cpp|cu)$/)) {
    const own = order.indexOf(file.split('/')[1] ?? '')
    const source = readFileSync(join(root, file), 'utf8')
    if (/#include <napi\.h>/.test(source) && order[own] !== 'napi') wrong.push(`${file}: napi.h`)
    for (const [, target = ''] of source.matchAll(/#include "([^"]+)"/g)) {
      const other = order.indexOf(target.split('/')[0] ?? '')
      if (other > own || (order[own] === 'io' && order[other] === 'ops')) {
        wrong.push(`${file} -> ${target}`)
      }
    }
  }
  expect(wrong).toEqual([])
})
