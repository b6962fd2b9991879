// What other libraries make of an exported file: onnx's checker and onnxruntime, torch's load_state_dict.

import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { exportModel } from '../../../lib/export/index.js'
import { bytesImage, runOnnx, savedCase } from '../../support/onnx.js'
import { findPython } from '../../support/python-with-torch.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const onnx = await findPython('onnx', 'onnxruntime', 'numpy')
const lossOf = { linear: { name: 'cross-entropy' }, cosine: { name: 'lmcl', scale: 8 } } as const

test.skipIf(onnx.skipped)(`onnx and onnxruntime (${onnx.python ?? onnx.why})`, async () => {
  expect(onnx.python, onnx.why).toBeDefined()
  const model = { backbone: 'toy', head: 'bilinear', pooling: 'isqrt' } as const
  const given = { model, loss: lossOf.cosine, side: 32, classes: 3 }
  const { weights, bytes } = await savedCase(folder, given, 2)
  const out = join(folder, 'model.onnx')
  await exportModel({ weights, out, format: 'onnx', maps: true })
  const pictures = join(folder, 'pictures')
  writeFileSync(pictures, bytes)
  const script = join(import.meta.dirname, 'check_onnx.py')
  const { stdout } = await promisify(execFile)(onnx.python as string, [script, out, pictures])
  const { probabilities, ...described } = JSON.parse(stdout)
  expect(described).toEqual({
    ir: 8,
    opset: [['', 17]],
    producer: 'mcloss',
    inputs: [['image', 'UINT8', ['N', 32, 32, 3]]],
    outputs: [
      ['probabilities', 'FLOAT', ['N', 3]],
      ['maps', 'FLOAT', ['N', 32, 8, 8]],
    ],
    metadata: ['classes', 'preprocessing', 'groups'],
    classes: ['class 0', 'class 1', 'class 2'],
  })
  const ours = await runOnnx(out, bytesImage(bytes, 32))
  for (const [at, value] of ours.probabilities.entries()) {
    expect(probabilities[at]).toBeCloseTo(value, 5)
  }
})
