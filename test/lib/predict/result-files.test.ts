// mcloss predict over a quoted glob, and its files read back by plain readers.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { encodePng } from '../../../lib/data/images.js'
import { predict } from '../../../lib/predict/inference.js'
import { picturesOf } from '../../../lib/predict/pictures.js'
import { createPredictor } from '../../../lib/predict/predictor.js'
import { csvFile, embeddingsFile, jsonLinesFile } from '../../../lib/predict/result-files.js'
import { pixels } from '../../support/formula-batch.js'
import { numbersOf, type PlainTensor, plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { writeModel } from '../../support/untrained-model.js'

const folder = temporaryFolder()
const photos = join(folder, 'photos')
const at = (name: string) => join(photos, name)
const good = ['a.png', 'deep/[1].png', 'deep/er/c.png', 'x,"y".png'].map(at)
const bad = at('deep/bad.png')
const sorted = [...good, bad].sort()
let weights: string

beforeAll(async () => {
  weights = await writeModel(folder)
  mkdirSync(at('deep/er'), { recursive: true })
  for (const [n, path] of good.entries()) {
    const [height, width] = [50 + n, 60]
    const image = { pixels: pixels(n + 1, height, width).slice(-3 * height * width), height, width }
    writeFileSync(path, await encodePng(image))
  }
  writeFileSync(bad, 'not an image')
  writeFileSync(at('deep/notes.txt'), '')
})

/** A row per line, fields as RFC 4180 has them. */
function csvRows(text: string): string[][] {
  const rows = text.split('\r\n').slice(0, -1)
  return rows.map((row) =>
    [...row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(
      ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
    ),
  )
}

test('the command writes a table, lines of JSON and embeddings; bad files are named and skipped', async () => {
  const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
  const out = (name: string) => join(folder, name)
  const files = [
    '--csv',
    out('o.csv'),
    '--jsonl',
    out('o.jsonl'),
    '--embeddings',
    out('o.safetensors'),
  ]
  const given = [at('**/*'), '--weights', weights, '--top', '2', '--batch', '3', ...files]
  const run = spawnSync(process.execPath, [cli, 'predict', ...given], { encoding: 'utf8' })
  expect(run.stdout.split('\n')).toEqual([
    '4 of 5 images have an answer',
    ...['o.csv', 'o.jsonl', 'o.safetensors'].map(out),
    '',
  ])
  expect(run.stderr).toMatch(/warning: .*1 files in .*notes\.txt/)
  expect(run.stderr).toMatch(/images: .*bad\.png is of another format/)
  expect(run.stderr).toMatch(/^5\/5 images {2}[\d.]+ images\/s$/m)
  expect(run.status).toBe(1)

  const wanted = await predict(sorted, { weights, top: 2, batchSize: 3 })
  const [header, ...rows] = csvRows(readFileSync(out('o.csv'), 'utf8'))
  const columns = ['class', 'label', 'probability']
  expect(header).toEqual(['path', ...columns, ...columns.map((name) => `${name}2`), 'error'])
  const fields = ({ path, top, error }: (typeof wanted)[0]) => {
    const cells = top.flatMap(({ class: name, label, probability }) => [name, label, probability])
    return [path, ...(error ? Array(6).fill('') : cells.map(String)), error?.message ?? '']
  }
  expect(rows).toEqual(wanted.map(fields))

  const lines = readFileSync(out('o.jsonl'), 'utf8').trimEnd().split('\n')
  const json = ({ path, top, error }: (typeof wanted)[0]) =>
    error ? { path, top, error: { code: error.code, message: error.message } } : { path, top }
  expect(lines.map((line) => JSON.parse(line))).toEqual(wanted.map(json))

  const { metadata, tensors } = plainRead(out('o.safetensors'))
  const names = sorted.filter((path) => path !== bad)
  expect(JSON.parse(metadata.names ?? '')).toEqual(names)
  const embeddings = tensors.get('embeddings') as PlainTensor
  expect(embeddings).toMatchObject({ dtype: 'F32', shape: [4, 32] })
  const predictor = await createPredictor({ weights })
  const own = (await predictor.embed(names)).flatMap(({ embedding }) => [...embedding])
  await predictor.dispose()
  expect(numbersOf(embeddings)).toEqual(own.map((value) => expect.closeTo(value, 4)))
  expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
})

test.each(['kept.csv', 'kept.csv.part'])(
  '%s that is there is refused and stays as it is, also by a call that fails later',
  async (name) => {
    const path = join(folder, name)
    writeFileSync(path, 'rows of a stopped call')
    await expect(csvFile(join(folder, 'kept.csv'), 1)).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining(`${name} is there already`),
    })
    expect(readFileSync(path, 'utf8')).toBe('rows of a stopped call')
    rmSync(path)
  },
)

test.each([
  ['*.png', ['a.png', 'x,"y".png']],
  ['*/*.png', ['deep/[1].png', 'deep/bad.png']],
  ['deep/**/c.*', ['deep/er/c.png']],
  ['{a,deep/er/c}.png', ['a.png', 'deep/er/c.png']],
  ['deep/[1].png', ['deep/[1].png']], // it is there
  ['deep/\\[1\\].p?g', ['deep/[1].png']],
  ['deep/\\[?\\]*.png', ['deep/[1].png']],
  ['deep/!(bad).png', ['deep/[1].png']],
])('a glob: %s', async (glob, names) => {
  const found = await picturesOf('predict', [at(glob)], () => {})
  expect(found).toEqual(names.map((name) => ({ path: at(name) })))
})

test('a glob that says what is left out is refused before a model is opened', async () => {
  const call = predict(['!deep/*.png'], { weights: 'none' })
  const message = expect.stringMatching(/^predict: .*'!deep\/\*\.png'.*!\(a\|b\)/)
  await expect(call).rejects.toMatchObject({ code: 'E_ARGUMENT', message })
})

test('a glob is relative to the folder of the process; one that matches nothing is an error', async () => {
  expect(await picturesOf('predict', ['package.jso?'], () => {})).toEqual([
    { path: 'package.jso?', error: expect.objectContaining({ code: 'E_DATA' }) },
  ])
  const [nothing] = await picturesOf('predict', [at('*.webp')], () => {})
  expect(nothing?.error?.message).toContain(`${at('*.webp')} has none`)
  const [nowhere] = await picturesOf('predict', [join(folder, 'none/*.jpg')], () => {})
  expect(nowhere?.error?.message).toMatch(/none cannot be listed: nothing is there/)
})

const answer = {
  path: 'a.png',
  top: [{ class: 'owl', label: 3, probability: 0.5 }],
  embedding: Float32Array.of(1, 2),
}

test('what is written before a stop stays beside the name, if it is of use', async () => {
  const path = (name: string) => join(folder, name)
  const files = [
    await csvFile(path('s.csv'), 1),
    await jsonLinesFile(path('s.jsonl')),
    await embeddingsFile(path('s.safetensors'), ['a.png', 'b.png']),
    await jsonLinesFile(path('empty.jsonl')),
  ]
  for (const file of files.slice(0, 3)) await file.write(answer)
  const left = []
  for (const file of files) left.push(await file.stop())
  expect(left).toEqual([path('s.csv.part'), path('s.jsonl.part'), undefined, undefined])
  expect(readFileSync(path('s.csv.part'), 'utf8')).toContain('\r\na.png,owl,3,0.5,\r\n')
  for (const name of ['s.csv', 's.safetensors.part', 'empty.jsonl.part']) {
    expect(existsSync(path(name))).toBe(false)
  }
})

test('embeddings of no image, and a place that cannot be written', async () => {
  const path = join(folder, 'none.safetensors')
  const file = await embeddingsFile(path, ['a.png'])
  await file.write({ path: 'a.png', top: [] })
  await file.finish()
  expect(plainRead(path).tensors.get('embeddings')).toMatchObject({ shape: [0, 0] })
  const refused = { code: 'E_IO', message: expect.stringMatching(/missing.*Make its folder first/) }
  await expect(csvFile(join(folder, 'missing/o.csv'), 5)).rejects.toMatchObject(refused)
})
