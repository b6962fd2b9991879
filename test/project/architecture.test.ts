// The layers of docs/architecture.md hold, without an exemption; and each rule finds a fault that is
// planted in a copy of the tree.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type Files,
  floorsOf,
  libArrows,
  libOwners,
  loadedBy,
  nativeIncludes,
} from '../support/architecture.js'

const root = join(import.meta.dirname, '../..')
const lib = filesUnder('lib', /\.ts$/)
const native = filesUnder('native', /\.(h|cpp|cu|cuh)$/)
const floors = floorsOf(readFileSync(join(root, 'docs/architecture.md'), 'utf8'))

function filesUnder(folder: string, ending: RegExp): Files {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  const paths = names.filter((name) => ending.test(name)).map((name) => join(folder, name))
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

/** A copy of the tree with `line` before the rest of a file. */
function planted(files: Files, path: string, line: string): Files {
  return { ...files, [path]: `${line}\n${files[path] ?? ''}` }
}

test('the rules see the tree', () => {
  expect(floors.length).toBeGreaterThan(8)
  expect(Object.keys(lib).length).toBeGreaterThan(50)
  expect(Object.keys(native).length).toBeGreaterThan(80)
})

test('lib/: arrows lead to earlier floors, and nothing goes in a circle', () => {
  expect(libArrows(lib, floors)).toEqual([])
})

test('lib/: only cli writes to the terminal, only images imports sharp, only binding loads the add-on', () => {
  expect(libOwners(lib)).toEqual([])
})

test("import { train } from 'mcloss' loads no terminal code", () => {
  const loads = loadedBy(lib, 'lib/index.ts')
  expect(loads).toContain('lib/data/images.ts')
  expect(loads).toContain('sharp')
  expect(loads.filter((name) => /^lib\/cli\/|^commander$|progress$/.test(name))).toEqual([])
  expect(loadedBy(lib, 'lib/cli/main.ts')).toContain('commander')
})

test('native/: includes point down, into ops/ by its public headers alone, in no circle', () => {
  expect(nativeIncludes(native)).toEqual([])
})

test.each([
  ['lib/data/loader.ts', "import { train } from '../train/train.js'", 'lib/train/train.ts'],
  ['lib/random.ts', "import { native } from './binding.js'", 'lib/binding.ts'],
  ['lib/predict/inference.ts', "export * from '../bench/index.js'", 'lib/bench/index.ts'],
  ['lib/train/train.ts', "const late = await import('../cli/main.js')", 'lib/cli/main.ts'],
])('an arrow up is found: %s %s', (file, line, target) => {
  expect(libArrows(planted(lib, file, line), floors)).toContain(`${file} -> ${target}`)
})

test('a file in no room, and a target that is not there, are found', () => {
  expect(libArrows({ ...lib, 'lib/helpers.ts': '' }, floors)).toEqual([
    'lib/helpers.ts is in no room of docs/architecture.md',
  ])
  const gone = planted(lib, 'lib/demo.ts', "import './gone.js'")
  expect(libArrows(gone, floors)).toEqual(['lib/demo.ts -> lib/gone.ts, which is not there'])
})

test('a circle inside a folder is found', () => {
  const knot = planted(lib, 'lib/data/batch.ts', "import type { Loader } from './loader.js'")
  const found = libArrows(knot, floors)
  expect(found).not.toEqual([])
  for (const line of found) expect(line).toMatch(/^circle: .*lib\/data\/batch.ts.*/)
})

test.each([
  ['lib/train/epoch.ts', "process.stdout.write('step')"],
  ['lib/binding.ts', "process.stderr.write('x')"],
  ['lib/doctor.ts', 'console.log(1)'],
  ['lib/demo.ts', 'process.exitCode = 1'],
  ['lib/demo.ts', "import { stdout } from 'node:process'"],
  ['lib/pictures/contact-sheet.ts', "import sharp from 'sharp'"],
  ['lib/mc-loss.ts', 'createRequire(import.meta.url)'],
])('what another file owns is found: %s %s', (file, line) => {
  expect(libOwners(planted(lib, file, line))).toHaveLength(1)
})

test('terminal code behind another module is found', () => {
  const files = planted(lib, 'lib/train/epoch.ts', "import { Command } from 'commander'")
  expect(loadedBy(files, 'lib/index.ts')).toContain('commander')
  const types = planted(lib, 'lib/train/epoch.ts', "import type { Command } from 'commander'")
  expect(loadedBy(types, 'lib/index.ts')).not.toContain('commander')
})

test.each([
  ['native/losses/mc.cpp', '"ops/mc_loss/checks.h"'],
  ['native/ops/resize.cpp', '"ops/mc_loss/checks.h"'],
  ['native/ops/gather_augment/op.cpp', '"ops/winograd_conv/loops.h"'],
  ['native/train/step/trainer.cpp', '"ops/kernel/philox.h"'],
  ['native/io/pixel_store.cpp', '"ops/resize.h"'],
  ['native/ops/resize.cpp', '"io/weights.h"'],
  ['native/models/vgg.cpp', '"losses/loss.h"'],
  ['native/ops/kernel/philox.h', '<ATen/ATen.h>'],
  ['native/ops/kernel/philox.h', '<c10/util/Half.h>'],
  ['native/ops/kernel/vectors.h', '<torch/torch.h>'],
  ['native/train/step/trainer.h', '<napi.h>'],
])('an include that is none of its business is found: %s %s', (file, header) => {
  expect(Object.keys(native)).toContain(file)
  const found = nativeIncludes(planted(native, file, `#include ${header}`))
  expect(found.join('\n')).not.toContain('which is not there')
  expect(found.join('\n')).toContain(
    `${file} -> ${header.replace('"', 'native/').replace('"', '')}`,
  )
})

test('a circle of headers is found', () => {
  const knot = {
    ...native,
    'native/train/a.h': '#include "train/b.h"',
    'native/train/b.h': '#include "train/a.h"',
  }
  expect(nativeIncludes(knot)).toContain(
    'circle: native/train/a.h -> native/train/b.h -> native/train/a.h',
  )
})
