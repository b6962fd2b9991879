// The files of weights that torchvision and timm publish, in their exact layouts (make_official.py): each
// loads, and the logits are PyTorch's. Runs where a Python has the torch of the LibTorch in use, else says
// why not; a small share of it is in layouts.test.ts.

import { execFile } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { isExpectedSize } from '../../../lib/weights/expected.js'
import { inspectWeights } from '../../../lib/weights/inspect.js'
import { soak } from '../../support/fixture-lines.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { findPython } from '../../support/python-with-torch.js'
import { temporaryFolder } from '../../support/small-birds.js'

interface Official {
  file: string
  layout: 'parameters' | 'counted' | 'legacy' | 'timm'
  tensors: number
  mebibytes: number | null
  /** [2][1000] */
  logits: number[][]
}

const FORMATS = {
  parameters: 'torch-zip',
  counted: 'torch-zip',
  legacy: 'torch-legacy',
  timm: 'safetensors',
}
/** Entries of the published files. */
const ENTRIES: Record<string, number[]> = {
  resnet18: [102, 122],
  resnet50: [267, 320, 320],
  vgg16: [32, 32],
  vgg16_bn: [84, 97],
}
const SIDE = 64
const script = join(import.meta.dirname, '../../fixtures/make_official.py')
const run = promisify(execFile)
const { python, why, skipped } = await findPython('numpy', 'safetensors')

for (const [backbone, entries] of Object.entries(ENTRIES)) {
  const large = backbone.startsWith('vgg') && !soak
  const reason = large ? ' (1.1 GB of files: only with MCLOSS_SOAK=1)' : skipped ? ` (${why})` : ''
  test.skipIf(reason !== '')(`${backbone}: its published files${reason}`, async () => {
    if (python === undefined) throw new Error(why)
    const folder = temporaryFolder()
    const { stdout } = await run(python, [script, folder, backbone], { maxBuffer: 2 ** 24 })
    const files = stdout.trim().split('\n')
    expect(files).toHaveLength(entries.length)

    const input = { height: SIDE, width: SIDE }
    const model = { backbone, head: 'torchvision', numClasses: 1000, channelsPerClass: 0, input }
    for (const [index, line] of files.entries()) {
      const { file, layout, tensors, mebibytes, logits } = JSON.parse(line) as Official
      const path = join(folder, file)
      expect(isExpectedSize({ mebibytes, sha256: null }, statSync(path).size), file).toBe(true)
      expect(tensors).toBe(entries[index])
      const report = await inspectWeights(path)
      expect(report).toMatchObject({ format: FORMATS[layout], matches: [backbone] })
      expect(report.tensors).toHaveLength(tensors)

      const trainer = await native().NativeTrainer.create(toyTrainer({ model, threads: 1 }))
      await trainer.loadWeights(path, { backboneOnly: false })
      const found = await trainer.predict(wholeBatch(2, SIDE, 1000))
      await trainer.dispose()
      rmSync(path)
      const expected = logits.flat()
      expect(found).toHaveLength(expected.length)
      const largest = Math.max(...expected.map(Math.abs))
      const errors = expected.map((value, at) => Math.abs((found[at] as number) - value) / largest)
      const worst = Math.max(...errors)
      console.log(`${file}: ${tensors} tensors, logits within ${worst.toExponential(1)}`)
      expect(worst, file).toBeLessThan(1e-4)
    }
    rmSync(folder, { recursive: true })
  })
}
