// What a file is, by its first bytes and never by its name: one of the formats that are read, or one of
// its neighbours, with what helps. A neighbour's format is not damage.

import { OtherKind, quoted } from './refusal.js'
import type { WeightFormat } from './table.js'
import { LEGACY_MAGIC } from './torch-legacy.js'

/** So many first bytes tell: a tar file says so at 257. */
export const HEAD_BYTES = 512

const CONVERT =
  'In Python, load the model and save its state_dict: torch.save(model.state_dict(), "weights.pth")'
const DOWNLOAD =
  'The address led to something else than the file: look at it in an editor, and download again'
const UNPACK = 'Unpack it and give the file inside'

interface Kind {
  /** Bytes, and where they begin; default 0. */
  marks: [bytes: string | number[], at?: number]
  what: string
  advice: string
}

const KINDS: Kind[] = [
  {
    marks: ['ustar', 257],
    what: 'a tar archive, as torch wrote before 0.2',
    advice:
      'The official ones were saved again with the same weights: resnet18-5c106cde.pth as ' +
      'resnet18-f37072fd.pth, resnet50-19c8e357.pth as resnet50-0676ba61.pth. An archive of files: unpack it',
  },
  { marks: [[0x1f, 0x8b]], what: 'a gzip archive', advice: UNPACK },
  { marks: [[0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]], what: 'a 7z archive', advice: UNPACK },
  { marks: [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]], what: 'an xz archive', advice: UNPACK },
  { marks: ['BZh'], what: 'a bzip2 archive', advice: UNPACK },
  { marks: [[0x28, 0xb5, 0x2f, 0xfd]], what: 'a zstd archive', advice: UNPACK },
  { marks: ['Rar!'], what: 'a RAR archive', advice: UNPACK },
  { marks: ['\x89HDF\r\n\x1a\n'], what: 'an HDF5 file, as Keras writes', advice: CONVERT },
  { marks: ['GGUF'], what: 'a GGUF file', advice: CONVERT },
  { marks: ['TFL3', 4], what: 'a TensorFlow Lite model', advice: CONVERT },
  { marks: ['\x93NUMPY'], what: 'a NumPy array', advice: CONVERT },
  {
    marks: ['PK\x05\x06'],
    what: 'an empty zip file',
    advice: 'Save or download the weights again',
  },
]

/** What servers and clones give in the place of a file. */
export function standIn(head: Buffer): OtherKind | undefined {
  const text = textOf(head) ?? ''
  if (/^(?:<!doctype|<html|<head|<\?xml|<body)/i.test(text)) {
    return new OtherKind('a web page (HTML)', DOWNLOAD)
  }
  if (!text.startsWith('version https://git-lfs')) return undefined
  return new OtherKind(
    'a Git LFS pointer, a text of three lines in the place of the file',
    'Fetch the file itself: git lfs pull, or download it from its page',
  )
}

/** @throws OtherKind */
export function detect(head: Buffer, size: number, path: string): WeightFormat {
  const other = standIn(head)
  if (other) throw other
  const found = KINDS.find(({ marks: [bytes, at = 0] }) => {
    const mark = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
    return head.subarray(at, at + mark.length).equals(mark)
  })
  if (found) throw new OtherKind(found.what, found.advice)
  if (head.subarray(0, 4).equals(Buffer.from('PK\x03\x04'))) return 'torch-zip'
  if (head.subarray(0, LEGACY_MAGIC.length).equals(LEGACY_MAGIC)) return 'torch-legacy'
  if (head[8] === '{'.charCodeAt(0)) return 'safetensors'
  const text = textOf(head)
  if (isOnnx(head)) throw new OtherKind('an ONNX model', CONVERT)
  if (/\.safetensors$/i.test(path)) return 'safetensors'
  if (size === 0) {
    throw new OtherKind('empty', 'The download or copy did not finish: get the file again')
  }
  if (head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) {
    throw new OtherKind('a Python pickle, but not one of torch.save', CONVERT)
  }
  if (text !== undefined) {
    throw new OtherKind(`a text that begins with ${quoted(text.slice(0, 80))}`, DOWNLOAD)
  }
  throw new OtherKind(
    `no file of weights that is known (its first bytes are ${head.subarray(0, 8).toString('hex')})`,
    "Files of torch.save and safetensors files are read. Other frameworks': save them from Python",
  )
}

/** Without the byte order mark and space before it; undefined for bytes that are no text. */
function textOf(head: Buffer): string | undefined {
  const text = head.toString('utf8').replace(/\ufffd{1,3}$/, '')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what text does not have
  const isText = text.length > 0 && !/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)
  return isText ? text.replace(/^\ufeff/, '').trimStart() : undefined
}

/** Protobuf: field 1, the version of ONNX; then field 2, the name of the program, or 7, the graph. */
function isOnnx(head: Buffer): boolean {
  if (head[0] !== 0x08 || (head[1] ?? 0) === 0 || (head[1] ?? 0) > 0x20) return false
  if (head[2] === 0x3a) return true
  const name = head.toString('latin1', 4, 4 + (head[3] ?? 0))
  return head[2] === 0x12 && /^[\x20-\x7e]+$/.test(name)
}
