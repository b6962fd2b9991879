// TensorBoard's event files: TFRecords (tensorflow/core/lib/io/record_writer.h) of the protocol buffer
// Event (tensorflow/core/util/event.proto), of which a few fields are written here by hand.

import { crc32c } from './crc32c.js'

export interface Scalars {
  /** Seconds since 1970. */
  wallTime: number
  step: number
  values: readonly (readonly [tag: string, value: number])[]
}

/** What an event file begins with. Readers drop what earlier files of the folder have at `step` and later. */
export function headRecords(wallTime: number, step: number): Buffer {
  const version = event(wallTime, step, bytesField(3, Buffer.from('brain.Event:2')))
  const started = event(wallTime, step, bytesField(7, varintField(1, 1))) // SessionLog, status START
  return Buffer.concat([framed(version), framed(started)])
}

/** One record of any number of curves at one step. */
export function scalarsRecord({ wallTime, step, values }: Scalars): Buffer {
  const summary = values.map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), floatField(2, value)])),
  )
  return framed(event(wallTime, step, bytesField(5, Buffer.concat(summary))))
}

function event(wallTime: number, step: number, what: Buffer): Buffer {
  return Buffer.concat([doubleField(1, wallTime), varintField(2, step), what])
}

/** Length, its checksum, the data, its checksum. */
function framed(data: Buffer): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(data.length))
  return Buffer.concat([length, checksum(length), data, checksum(data)])
}

/** Masked, as TFRecords want it: a checksum of bytes that hold a checksum is weak otherwise. */
function checksum(bytes: Buffer): Buffer {
  const crc = crc32c(bytes)
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
  const out = Buffer.alloc(4)
  out.writeUInt32LE(masked)
  return out
}

// ---- fields of a protocol buffer: the key is (number << 3 | wire type) ----

function doubleField(number: number, value: number): Buffer {
  const out = Buffer.alloc(9)
  out.writeUInt8((number << 3) | 1)
  out.writeDoubleLE(value, 1)
  return out
}

function floatField(number: number, value: number): Buffer {
  const out = Buffer.alloc(5)
  out.writeUInt8((number << 3) | 5)
  out.writeFloatLE(value, 1)
  return out
}

function bytesField(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
}

function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number << 3), varint(value)])
}

/** Of a whole number >= 0, seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}
