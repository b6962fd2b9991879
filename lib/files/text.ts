// The one way from a text file's bytes to text: UTF-8, with or without a byte order mark. Other bytes
// are refused, not replaced: two names that differ in such a byte would become one.

import { isUtf8 } from 'node:buffer'
import { type ErrorCode, McLossError } from '../errors.js'

/** Whose text it is, for the error. */
export interface TextSource {
  file: string
  /** Who reads it, such as 'config'. */
  reader: string
  code: ErrorCode
}

/** @throws McLossError naming file, line, byte and the likely encoding of what is not UTF-8. */
export function textOf(bytes: Buffer, { file, reader, code }: TextSource): string {
  const wrong = wrongByte(bytes)
  if (wrong < 0) return new TextDecoder().decode(bytes)
  const before = bytes.subarray(0, wrong)
  const line = before.reduce((lines, byte) => (byte === 0x0a ? lines + 1 : lines), 1)
  const value = `0x${bytes.readUInt8(wrong).toString(16).padStart(2, '0')}`
  throw new McLossError(
    code,
    `${reader}: ${file} line ${line}: expected text in UTF-8 but received the byte ${value}, number ` +
      `${wrong + 1} of the file. ${adviceFor(bytes, wrong)}`,
  )
}

/** The first byte that is no text in UTF-8, or -1. */
function wrongByte(bytes: Buffer): number {
  if (isUtf8(bytes)) return bytes.indexOf(0) // what UTF-16 without a mark is full of
  const again = Buffer.from(bytes.toString())
  return bytes.findIndex((byte, at) => byte !== again[at])
}

function adviceFor(bytes: Buffer, wrong: number): string {
  const encoding = likelyEncoding(bytes)
  if (encoding === undefined) return 'Save it as UTF-8, or take it from its source again.'
  const save = `Save it as UTF-8, for example: iconv -f ${encoding} -t UTF-8 OLD > NEW`
  if (encoding !== 'Windows-1252') return `It is likely ${encoding}. ${save}`
  const start = bytes.lastIndexOf(0x0a, wrong) + 1
  const end = bytes.indexOf(0x0a, wrong)
  const line = bytes.subarray(start, end < 0 ? undefined : end)
  const text = windows1252(line).trim().slice(0, 200)
  return `It is likely ${encoding}, where the line reads '${text}'. ${save}`
}

/** 0x80 to 0x9f, where it differs from Latin-1; Node 20's TextDecoder takes it for Latin-1. */
const HIGH = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

function windows1252(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  return text.replace(/[\u0080-\u009f]/g, (char) => HIGH.charAt(char.charCodeAt(0) - 0x80))
}

const NOT_IN_WINDOWS_1252 = [0x00, 0x81, 0x8d, 0x8f, 0x90, 0x9d]

function likelyEncoding(bytes: Buffer): string | undefined {
  const [first = 0, second = 0] = bytes
  if (first === 0xff && second === 0xfe) return 'UTF-16'
  if (first === 0xfe && second === 0xff) return 'UTF-16'
  const zeros = bytes.reduce((count, byte) => (byte === 0 ? count + 1 : count), 0)
  if (zeros >= bytes.length / 4) return first === 0 ? 'UTF-16BE' : 'UTF-16LE'
  return NOT_IN_WINDOWS_1252.some((byte) => bytes.includes(byte)) ? undefined : 'Windows-1252'
}
