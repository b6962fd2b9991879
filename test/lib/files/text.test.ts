// Bytes to text: strict UTF-8, with or without a mark; what is refused is named by line and byte.

import { expect, test } from 'vitest'
import { textOf } from '../../../lib/files/text.js'

const read = (bytes: Buffer) =>
  textOf(bytes, { file: 'list.csv', reader: 'datasets', code: 'E_DATA' })
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

test.each([
  ['', ''],
  ['61', 'a'],
  ['ef bb bf 61', 'a'], // a byte order mark
  ['4b c3 a4 6c 74 65', 'Kälte'],
  ['ef bf bd', '\ufffd'], // the character itself is text
  ['f0 9f 90 a6', '🐦'],
])('%s', (bytes, text) => {
  expect(read(hex(bytes))).toBe(text)
})

const utf16 = Buffer.from('a\nKälte\n', 'utf16le')
test.each([
  [
    'Windows-1252',
    hex('61 0a 4b e4 6c 74 65 0a'),
    /line 2: .*0xe4, number 4 .*Windows-1252.*'Kälte'/,
  ],
  [
    'its euro sign',
    hex('80'),
    /line 1: .*0x80, number 1 .*Windows-1252.*'€'.*iconv -f Windows-1252/,
  ],
  [
    'UTF-16 with a mark',
    Buffer.concat([hex('ff fe'), utf16]),
    /line 1: .*0xff, .*UTF-16\. .*iconv/,
  ],
  ['big-endian with a mark', hex('fe ff 00 61'), /line 1: .*0xfe, .*UTF-16\. /],
  ['UTF-16 without a mark', Buffer.from('a\nKalte\n', 'utf16le'), /0x00, number 2 .*UTF-16LE/],
  ['big-endian without a mark', Buffer.from('a\nKalte\n', 'utf16le').swap16(), /0x00, .*UTF-16BE/],
  ['Shift-JIS', hex('93 fa 96 7b 81 40'), /0x93, number 1 .*file\. Save it as UTF-8, or/],
  ['one NUL', Buffer.from('abcdefgh\0'), /0x00, number 9 .*file\. Save it as UTF-8, or/],
  ['a cut character', hex('61 0a 61 0a c3'), /line 3: .*0xc3, number 5 /],
])('%s is refused', (_name, bytes, message) => {
  expect(() => read(bytes)).toThrow(
    expect.objectContaining({ code: 'E_DATA', message: expect.stringMatching(message) }),
  )
  expect(() => read(bytes)).toThrow(/^datasets: list\.csv line \d: expected text in UTF-8/)
})
