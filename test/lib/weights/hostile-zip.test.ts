// Zip files made to harm, or to be read in two ways: as hostile-pickle.test.ts.

import { readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Case, given, one, refused, repeat } from '../../support/hostile-weights.js'
import { bytesOf, floats, torchZip } from '../../support/pickle-writer.js'
import { pthFolder } from '../../support/torch-files.js'

/** A sound zip file, and edits of its bytes. */
const sound = () => torchZip(one({}))
const CENTRAL = 'PK\x01\x02'
const LOCAL = 'PK\x03\x04'
const END = 'PK\x05\x06'

/** Overwrites bytes at a distance from the n-th signature. */
function edited(signature: string, nth: number, at: number, ...bytes: number[]): Buffer {
  const file = sound()
  let place = -1
  for (let i = 0; i <= nth; i++) place = file.indexOf(signature, place + 1, 'latin1')
  file.set(bytes, place + at)
  return file
}

const named = (name: string) => torchZip(one({}), [{ name, content: 'x' }])
const zips: Case[] = [
  ['17 a name twice', named('x/data/0'), /entries "x\/data\/0" and "x\/data\/0"/],
  ['17 names that differ by case', named('X/data/0'), /entries "x\/data\/0" and "X\/data\/0"/],
  ['17 an absolute name', named('/etc/passwd'), /no plain path/],
  ['17 a name upwards', named('x/../../y'), /no plain path/],
  ['17 a backslash', named('x\\data\\1'), /no plain path/],
  ['17 a NUL', named('x/data/1\0.txt'), /no plain path/],
  ['17 not UTF-8', edited(CENTRAL, 2, 46, 0xff), /not UTF-8/],
  ['18 another name', edited(LOCAL, 2, 30, 0x79), /two headers of "x\/data\/0" that disagree/],
  ['18 another method', edited(LOCAL, 2, 8, 8), /two headers/],
  ['18 another size', edited(LOCAL, 2, 22, 11), /two headers/],
  ['18 other flags', edited(LOCAL, 2, 6, 1), /two headers/],
  ['18 another checksum', edited(LOCAL, 2, 14, 1), /two headers/],
  ['18 a folder to other readers', edited(CENTRAL, 2, 38, 0x10), /the folder "x\/data\/0"/],
  ['19 an entry over another', edited(CENTRAL, 2, 42, 0, 0), /overlap or leave gaps/],
  ['19 a gap', bytesOf(repeat(0, 8), sound()), /known|elsewhere/],
  [
    '19 a directory past the file',
    edited(END, 0, 16, 0xff, 0xff, 0xff, 0x0f),
    /directory elsewhere/,
  ],
  ['19 more entries than there are', edited(END, 0, 8, 9, 0, 9, 0), /fewer entries than/],
  ['19 fewer entries', edited(END, 0, 8, 2, 0, 2, 0), /more entries than/],
  ['19 two counts', edited(END, 0, 8, 2, 0), /two counts/],
  ['19 a comment', bytesOf(edited(END, 0, 20, 1, 0), 'c'), /bytes after its end, or a comment/],
  ['19 two end records', bytesOf(sound(), sound().subarray(-22)), /elsewhere/],
  ['19 another zip file behind it', bytesOf(sound(), sound()), /elsewhere/],
  ['19 bytes behind it', bytesOf(sound(), 'tail'), /bytes after its end/],
  [
    '20 deflated',
    torchZip(one({}), [{ name: 'x/a', content: 'aaaa', method: 8 }]),
    /compressed \(method 8\)/,
  ],
  ['20 encrypted', edited(CENTRAL, 2, 8, 1), /encrypted/],
  ['20 several disks', edited(END, 0, 4, 1), /several disks/],
  ['20 an entry on another disk', edited(CENTRAL, 2, 34, 1), /several disks/],
  [
    '20 64-bit sizes that are not there',
    edited(CENTRAL, 2, 20, ...Array(8).fill(0xff)),
    /not there/,
  ],
  ['21 two pickles', named('x/y/data.pkl'), /more than one data\.pkl/],
  [
    '21 the pickle under another name',
    torchZip(one({}), [], 'a/b').fill('z', 30, 31),
    /two headers|no plain/,
  ],
  ['21 entries beside the folder', named('other/evil.bin'), /entries beside its folder/],
  [
    '21 no pickle',
    Buffer.from(sound().toString('latin1').replaceAll('data.pkl', 'evil.bin'), 'latin1'),
    /without torch's data\.pkl/,
  ],
  [
    'big-endian',
    Buffer.from(torchZip(one({})).toString('latin1').replaceAll('little', 'biggie'), 'latin1'),
    /checksum/,
  ],
  ['23 TorchScript', named('x/code/__torch__.py'), /TorchScript.*state_dict/],
  ['cut short', sound().subarray(0, -30), /ends before it.*stopped too early/],
]

test.each(zips)('in the zip file: %s', (_, file, says) => refused(file, says))

test('in the zip file: 64-bit records of torch itself, falsified', async () => {
  const whole = readFileSync(join(pthFolder, 'buffer.zip.pth'))
  const places: [at: number, value: number, says: RegExp][] = [
    [whole.length - 98 + 4, 45, /64 bits that is not whole/],
    [whole.length - 98 + 32, 1, /64 bits that is not whole/],
    [whole.length - 98 + 55, 0xff, /past 2\^53/],
    [whole.length - 98 + 40, 0, /end records that disagree/],
    [whole.length - 42 + 16, 2, /64 bits that is not whole/],
    [whole.indexOf('PK\x07\x08', 0, 'latin1') + 4, 0, /descriptor of .* disagrees/],
  ]
  for (const [at, value, says] of places) {
    const file = Buffer.from(whole)
    file[at] = file[at] === value ? value + 1 : value
    await refused(file, says)
  }
})

test('19 a directory of more than 65,536 entries', () => {
  const file = readFileSync(join(pthFolder, 'buffer.zip.pth'))
  const record = file.length - 98
  for (const at of [24, 32]) file.writeBigUInt64LE(65_537n, record + at)
  file.fill(0xff, file.length - 22 + 8, file.length - 22 + 12)
  return refused(file, /has 65537 entries/)
})

test('25 a file that is replaced while it is read is the one that was opened', async () => {
  const found = await given(sound(), async ({ tensors, fd }, path) => {
    rmSync(path)
    writeFileSync(path, 'another file')
    const bytes = Buffer.alloc(12)
    readSync(fd, bytes, 0, 12, tensors[0]?.storage.begin ?? 0)
    return bytes
  })
  expect(found.equals(floats)).toBe(true)
})
