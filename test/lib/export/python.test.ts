// What other libraries make of an exported file: onnx's checker and onnxruntime, load_state_dict of timm's and
// torchvision's networks.

import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { exportModel } from '../../../lib/export/index.js'
import { bytesImage, MEAN, runOnnx, STD, savedCase } from '../../support/onnx.js'
import { findPython } from '../../support/python-with-torch.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

const onnx = await findPython('onnx', 'onnxruntime', 'numpy')
// Of its peers: timm without torchvision, and plain torch modules.
process.env.PYTHONPATH = join(import.meta.dirname, '../../../bench/peers')
const timm = await findPython('numpy', 'safetensors', 'timm_models')
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

const page = readFileSync(join(import.meta.dirname, '../../../docs/export.md'), 'utf8')

/** The three lines of the page, for a file and its classes. */
function linesOf(names: 'torchvision' | 'timm', file: string, classes: number): string {
  const [lines = ''] =
    page.match(new RegExp(`^    from safe.*\\n    model = ${names}.*\\n.*$`, 'm')) ?? []
  expect(lines.split('\n')).toHaveLength(3)
  const own = lines.replace('num_classes=200', `num_classes=${classes}`)
  return own.replace('birds.safetensors', file).replace(/^ {4}/gm, '')
}

test.skipIf(timm.skipped).each(['timm', 'torchvision'] as const)(
  `the lines of the page load the weights under the names of %s (${timm.python ?? timm.why})`,
  async (names) => {
    expect(timm.python, timm.why).toBeDefined()
    const [side, classes, out] = [32, 3, join(folder, `${names}.safetensors`)]
    const model = { backbone: 'resnet18', head: 'torchvision' } as const
    const given = { model, loss: lossOf.linear, side, classes }
    const { weights, bytes, logits } = await savedCase(folder, given, 2)
    await exportModel({ weights, out, format: 'safetensors', names })
    const pictures = join(folder, 'pictures')
    writeFileSync(pictures, bytes)
    const lines = linesOf(names, out, classes)
    const asked = { names, lines, pictures, side, mean: MEAN, std: STD }
    const script = join(import.meta.dirname, 'load_weights.py')
    const command = [script, JSON.stringify(asked)]
    const { stdout } = await promisify(execFile)(timm.python as string, command)
    const theirs = (JSON.parse(stdout) as number[][]).flat()
    const largest = Math.max(...logits.map(Math.abs))
    for (const [at, value] of theirs.entries()) {
      expect(Math.abs(value - (logits[at] as number))).toBeLessThan(1e-4 * largest)
    }
    expect(theirs).toHaveLength(2 * classes)
  },
)
