// inspect and convert against what is worked out here: backbones against native's own names, floats
// of 16 bits against their bits moved into float32's places.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { convertWeights } from '../../../lib/weights/convert.js'
import { toFloat32 } from '../../../lib/weights/float32.js'
import { inspectWeights } from '../../../lib/weights/inspect.js'
import { temporaryFolder } from '../../support/folders.js'
import { toyTrainer } from '../../support/formula-batch.js'

const folder = temporaryFolder()

interface Given {
  name: string
  dtype: string
  shape: number[]
  bytes: Buffer
}

function safetensors(name: string, tensors: Given[]): string {
  let at = 0
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const begin = at
    at += bytes.length
    return [name, { dtype, shape, data_offsets: [begin, at] }]
  })
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const path = join(folder, name)
  writeFileSync(path, Buffer.concat([length, header, ...tensors.map(({ bytes }) => bytes)]))
  return path
}

/** By JSON.parse and plain slices. */
function plainTensors(
  path: string,
): Record<string, { dtype: string; shape: number[]; hex: string }> {
  const file = readFileSync(path)
  const data = 8 + Number(file.readBigUInt64LE())
  const { __metadata__, ...header } = JSON.parse(file.toString('utf8', 8, data))
  return Object.fromEntries(
    Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { dtype, shape, hex: file.subarray(data + begin, data + end).toString('hex') }],
    ),
  )
}

const f32 = (...values: number[]) => Buffer.from(new Float32Array(values).buffer)
const f64 = (...values: number[]) => Buffer.from(new Float64Array(values).buffer)
const u16 = (...values: number[]) => Buffer.from(new Uint16Array(values).buffer)
const count = Buffer.from(new BigInt64Array([7n]).buffer)

test.each(['resnet18', 'resnet50', 'vgg16', 'vgg16_bn', 'toy'])(
  '%s: the tensors that native saves match it alone',
  async (backbone) => {
    const config = toyTrainer()
    const model = { ...config.model, backbone, head: 'linear' }
    const trainer = await native().NativeTrainer.create({ ...config, model })
    const into = join(folder, backbone)
    mkdirSync(into)
    await trainer.save(into, {}).finally(() => trainer.dispose())
    const report = await inspectWeights(join(into, 'model.safetensors'))
    expect(report.matches).toEqual([backbone])
    expect(report).toMatchObject({ format: 'safetensors', wrapper: null, crc: 'not checked' })
  },
)

test('a tensor missing, or of another shape: no match', async () => {
  const path = safetensors('part.safetensors', [
    { name: 'features.0.weight', dtype: 'F32', shape: [1], bytes: f32(1) },
  ])
  expect((await inspectWeights(path)).matches).toEqual([])
})

test('names lose their prefix, floats become float32, integers stay', async () => {
  const path = safetensors('given.safetensors', [
    { name: 'module.b', dtype: 'F16', shape: [2], bytes: u16(0x3c00, 0xc100) },
    { name: 'module.7', dtype: 'F64', shape: [1, 2], bytes: f64(0.1, -3) },
    { name: 'module.a', dtype: 'BF16', shape: [], bytes: u16(0x4049) },
    { name: 'module.f', dtype: 'F32', shape: [1], bytes: f32(1.5) },
    { name: 'module.bn.num_batches_tracked', dtype: 'I64', shape: [], bytes: count },
    { name: 'module.none', dtype: 'F32', shape: [0, 3], bytes: f32() },
  ])
  expect((await inspectWeights(path)).prefix).toBe('module.')
  const out = join(folder, 'out.safetensors')
  const { tensors, bytes } = await convertWeights(path, out)
  expect([tensors, bytes]).toEqual([6, readFileSync(out).length])
  expect(plainTensors(out)).toEqual({
    b: { dtype: 'F32', shape: [2], hex: f32(1, -2.5).toString('hex') },
    7: { dtype: 'F32', shape: [1, 2], hex: f32(0.1, -3).toString('hex') },
    a: { dtype: 'F32', shape: [], hex: f32(3.140625).toString('hex') },
    f: { dtype: 'F32', shape: [1], hex: f32(1.5).toString('hex') },
    'bn.num_batches_tracked': { dtype: 'I64', shape: [], hex: count.toString('hex') },
    none: { dtype: 'F32', shape: [0, 3], hex: '' },
  })
  expect((await inspectWeights(out)).tensors).toHaveLength(6)
  const again = await convertWeights(path, out).catch((error) => error)
  expect(again).toMatchObject({ code: 'E_IO', message: expect.stringMatching(/is there already/) })
})

test('every finite float16 and bfloat16 has its value', () => {
  const half = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)
  const finite = (mask: number) => half.filter((bits) => (bits & mask) !== mask)
  const check = (dtype: 'F16' | 'BF16', mask: number, value: (bits: number) => number) => {
    const given = finite(mask)
    const result = toFloat32(Buffer.from(given.buffer), dtype, 'x')
    const values = new Float32Array(result.buffer, result.byteOffset, given.length)
    expect(values.findIndex((one, at) => !Object.is(one, value(given[at] ?? 0)))).toBe(-1)
  }
  const bitsToFloat = (bits: number) => new Float32Array(new Uint32Array([bits]).buffer)[0] ?? 0
  check('BF16', 0x7f80, (bits) => bitsToFloat(bits << 16))
  // The exponent's bias differs by 127 - 15; a product with that power of two is exact.
  check('F16', 0x7c00, (bits) => {
    return bitsToFloat(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * 2 ** 112
  })
})

test.each([
  ['NaN in float32', 'F32', f32(1, Number.NaN)],
  ['infinity in float16', 'F16', u16(0, 0x7c00)],
  ['a float64 that float32 has not', 'F64', f64(1, 1e300)],
])('%s: refused by name, and nothing is left', async (what, dtype, bytes) => {
  const path = safetensors(`${what}.safetensors`, [{ name: 'fc.bias', dtype, shape: [2], bytes }])
  const out = join(folder, 'bad', 'out.safetensors')
  const error = await convertWeights(path, out).catch((reason) => reason)
  expect(error).toMatchObject({ code: 'E_WEIGHTS', message: expect.stringMatching(/fc\.bias.*1/) })
  expect(readdirSync(join(folder, 'bad'))).toEqual([])
})

test('another ending is a wrong command line; what is no file of weights is refused', async () => {
  const path = join(folder, 'page.pth')
  writeFileSync(path, '<!doctype html><html></html>')
  const ending = await convertWeights(path, join(folder, 'out.pth')).catch(({ code }) => code)
  expect(ending).toBe('E_USAGE')
  const out = join(folder, 'none.safetensors')
  expect(await convertWeights(path, out).catch(({ code }) => code)).toBe('E_WEIGHTS')
  expect(existsSync(out)).toBe(false)
})
