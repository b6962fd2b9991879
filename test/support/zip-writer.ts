// Writes small zip files, also wrong ones: every field a test wants to falsify can be given.

import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  name: string
  content?: string | Buffer
  /** 0 stored, 8 deflated (default). The bytes are deflated unless it is 0. */
  method?: number
  /** What the directory claims, where it is not the truth. */
  claims?: { crc?: number; size?: number; offset?: number; flags?: number }
  /** Unix mode with its type bits; default a regular file. */
  mode?: number
}

export function makeZip(entries: ZipEntry[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content = '', method = 8, claims = {}, mode = 0o100644 } of entries) {
    const bytes = Buffer.from(content)
    const packed = method === 0 ? bytes : deflateRawSync(bytes)
    const nameBytes = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(claims.flags ?? 0, 2)
    fields.writeUInt16LE(method, 4)
    fields.writeUInt32LE(claims.crc ?? crc32(bytes), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(claims.size ?? bytes.length, 18)
    fields.writeUInt16LE(nameBytes.length, 22)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE((mode << 16) >>> 0, 6)
    tail.writeUInt32LE(claims.offset ?? offset, 10)
    directory.push(signature(1, 2), Buffer.of(20, 3), fields, tail, nameBytes)
    const local = [signature(3, 4), fields, nameBytes, packed]
    parts.push(...local)
    offset += local.reduce((sum, part) => sum + part.length, 0)
  }
  const directorySize = directory.reduce((sum, part) => sum + part.length, 0)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(directorySize, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...parts, ...directory, signature(5, 6), end])
}

const signature = (first: number, second: number) => Buffer.of(0x50, 0x4b, first, second)

/** The entries of the smallest wheel that holds a LibTorch. */
export function wheelEntries(): ZipEntry[] {
  return [
    { name: 'torch/include/torch/csrc/api/include/torch/torch.h', content: '#pragma once\n' },
    { name: 'torch/lib/libtorch.so', content: 'torch' },
    { name: 'torch/lib/libtorch_cpu.so', content: Buffer.alloc(100_000, 7) },
    { name: 'torch/lib/libc10.so', content: 'c10', method: 0 },
    { name: 'torch/version.py', content: "__version__ = '2.13.0+cpu'\n" },
    { name: 'torch/nn/functional.py', content: 'not part of LibTorch' },
    { name: 'torch-2.13.0+cpu.dist-info/licenses/LICENSE', content: 'BSD' },
  ]
}
