// Files of other kinds are named, with what helps; and names that are nearly those of a backbone.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { NativeTrainer } from '../../../lib/binding.js'
import { type StateHeader, stateOf, writeWeights } from '../../support/formula-weights.js'
import { bytesOf, pickle, text } from '../../support/pickle-writer.js'
import { smallTrainer, weightsOf } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { makeZip } from '../../support/zip-writer.js'

const folder = temporaryFolder()
let trainer: NativeTrainer
let state: StateHeader

beforeAll(async () => {
  trainer = await smallTrainer()
  state = await stateOf(trainer, folder)
})
afterAll(async () => {
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

const load = (path: string) => trainer.loadWeights(path, { backboneOnly: false })

const tar = Buffer.alloc(1024)
tar.write('pickle')
tar.write('ustar', 257)

const kinds: [name: string, bytes: Buffer | string, says: RegExp][] = [
  ['resnet18.pth', '<!DOCTYPE html>\n<html><title>Sign in</title>', /a web page.*download again/],
  ['page.safetensors', '\ufeff  <html>Not Found</html>', /a web page/],
  [
    'vgg16.pth',
    'version https://git-lfs.github.com/spec/v1\noid sha256:1',
    /Git LFS.*git lfs pull/,
  ],
  ['lfs.safetensors', 'version https://git-lfs.github.com/spec/v1\noid sha256:1', /Git LFS/],
  ['answer.bin', 'Entry not found', /a text that begins with "Entry not found"/],
  ['resnet18-5c106cde.pth', tar, /tar archive.*resnet18-f37072fd\.pth/],
  ['a.pth.gz', gzipSync('x'), /gzip archive.*Unpack/],
  ['a.7z', bytesOf(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0), /7z archive/],
  ['model.h5', bytesOf(0x89, 'HDF\r\n', 0x1a, '\n'), /HDF5.*state_dict/],
  ['model.gguf', 'GGUF\x03\0\0\0', /GGUF.*state_dict/],
  ['model.onnx', bytesOf(8, 7, 0x12, 7, 'pytorch', 0x1a, 3), /ONNX.*state_dict/],
  ['model.npy', bytesOf(0x93, 'NUMPY', 1, 0), /NumPy/],
  [
    'model.npz',
    makeZip([{ name: 'w.npy', content: 'x', method: 0 }]),
    /zip file without torch's data\.pkl/,
  ],
  ['model.pkl', pickle(text('weights')), /pickle, but not one of torch\.save/],
  ['empty.pth', '', /is empty.*get the file again/],
  ['empty.safetensors', '', /it is 0 bytes long/],
  ['zeros.pth', Buffer.alloc(64), /known \(its first bytes are 0000000000000000\)/],
]

test.each(kinds)('%s', async (name, bytes, says) => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  await expect(load(path)).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(says),
  })
  await expect(load(path)).rejects.toThrow(path)
  if (name !== 'empty.safetensors') await expect(load(path)).rejects.not.toThrow(/damaged/)
})

describe('names', () => {
  const path = join(folder, 'names.safetensors')
  const write = (rename: (name: string) => string, keep = (_: string) => true) =>
    writeWeights(
      path,
      new Map([...state].filter(([name]) => keep(name)).map(([name, one]) => [rename(name), one])),
    )
  afterEach(() => rmSync(path))

  test.each(['module.', '_orig_mod.', 'module._orig_mod.', 'model.', 'net.', 'module.backbone.'])(
    'all with %s before them',
    async (prefix) => {
      write((name) => prefix + name)
      await load(path)
      const { tensors } = await weightsOf(trainer, folder)
      expect([...tensors.keys()].sort()).toEqual([...state.keys()].sort())
    },
  )

  test('some with a prefix: which, in a line, and how to save that part', async () => {
    write((name) => (name.startsWith('features') ? `backbone.${name}` : `cls_${name}`))
    const error = await load(path).catch((error: Error) => error)
    expect(error).toMatchObject({
      code: 'E_WEIGHTS',
      message: expect.stringMatching(
        /begin with "backbone\." \(\d+\).*k\[9:\].*startswith\("backbone\."\)/,
      ),
    })
    expect((error as Error).message.length).toBeLessThan(600)
  })

  test('student and teacher: both are named', async () => {
    write((name) =>
      name.startsWith('features.0') ? `teacher.${name}` : name.replace(/^/, 'student.'),
    )
    await expect(load(path)).rejects.toThrow(/"teacher\."/)
  })

  test("the names of Hugging Face's transformers", async () => {
    const name = 'resnet.encoder.stages.0.layers.0.layer.0.convolution.weight'
    writeWeights(path, new Map([[name, { dtype: 'F32', shape: [1] }]]))
    await expect(load(path)).rejects.toThrow(/transformers.*timm's file/)
  })
})
