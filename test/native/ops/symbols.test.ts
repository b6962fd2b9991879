// The loops of the operators are compiled once for each kind of processor. An object file made with
// wider instructions may define nothing that the linker could put in place of the same function of
// another object file, such as an inline function or a template of a header.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const objects = join(import.meta.dirname, '../../../build/CMakeFiles')
const missing = spawnSync('nm', ['--version']).error ? ' (nm is not there)' : ''

/** Lines "address type name" of what an object file defines for others; weak symbols are among them. */
function symbolsOf(file: string): string[] {
  const given = ['--extern-only', '--defined-only', join(objects, file)]
  const { status, stdout, stderr } = spawnSync('nm', given, { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  return stdout.trim().split('\n')
}

const entries = {
  mc_loss: 'mc_passes',
  batch_norm_act: 'bn_passes',
  gather_augment: 'gather_lines',
  winograd_conv: 'winograd_loops',
}

for (const [operator, name] of Object.entries(entries)) {
  for (const kind of ['avx2', 'avx512']) {
    test.skipIf(missing)(
      `${operator}, ${kind}: loops.cpp defines its entry alone${missing}`,
      () => {
        const entry = new RegExp(`^[0-9a-f]+ T \\w*${name}_${kind}\\w*$`)
        const object = `${operator}_${kind}.dir/native/ops/${operator}/loops.cpp.o`
        expect(symbolsOf(object)).toEqual([expect.stringMatching(entry)])
      },
    )
  }
}
