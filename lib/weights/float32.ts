// Floating point of every width as float32, little-endian as in a file.

import { McLossError } from '../errors.js'
import type { Dtype } from './table.js'

export const isFloat = (dtype: Dtype) => ['F64', 'F32', 'F16', 'BF16'].includes(dtype)

/** @throws McLossError E_WEIGHTS at a value that is not finite, or too large for float32. */
export function toFloat32(bytes: Buffer, dtype: Dtype, name: string): Buffer {
  const values = decode(bytes, dtype)
  const wrong = values.findIndex((value) => !Number.isFinite(value))
  if (wrong >= 0) {
    throw new McLossError(
      'E_WEIGHTS',
      `weights: ${name} holds ${values[wrong]} at element ${wrong}: expected finite float32 values.`,
    )
  }
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}

function decode(bytes: Buffer, dtype: Dtype): Float32Array {
  if (dtype === 'F64') return Float32Array.from(new Float64Array(aligned(bytes)))
  if (dtype === 'F16') return Float32Array.from(new Uint16Array(aligned(bytes)), halfToFloat)
  if (dtype === 'BF16') {
    const bits = Uint32Array.from(new Uint16Array(aligned(bytes)), (half) => half << 16)
    return new Float32Array(bits.buffer)
  }
  return new Float32Array(aligned(bytes))
}

/** Typed arrays begin at multiples of their element; small buffers are slices of a pool. */
function aligned({ buffer, byteOffset, byteLength }: Buffer): ArrayBuffer {
  const whole = byteOffset === 0 && byteLength === buffer.byteLength
  return (whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)) as ArrayBuffer
}

/** 1 sign, 5 exponent and 10 fraction bits. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
