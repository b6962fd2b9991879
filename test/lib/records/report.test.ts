// The tables of a report, counted by hand; its CSV says what its JSON says.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseCsv } from '../../../lib/data/datasets/lists/csv-text.js'
import { type Answers, answersOf, type EvaluatedBatch } from '../../../lib/records/answers.js'
import { openReport, writeReport } from '../../../lib/records/report.js'
import { onBrokenDisk, refusal } from '../../support/broken-disk.js'
import { temporaryFolder } from '../../support/small-birds.js'

const classes = ['auk, "great"', '=cmd|x', 'two\nlines', 'never tested']
const answer = (path: string, label: number, predicted: number, probability: number) => {
  const labelProbability = label === predicted ? probability : (1 - probability) / 2
  return { path, label, predicted, probability, labelProbability }
}
const answers: Answers = {
  classes,
  all: [
    answer('/b/1.jpg', 0, 0, 0.9),
    answer('/b/2.jpg', 0, 2, 0.5),
    answer('/b/3.jpg', 0, 1, 0.75),
    answer('/b/4.jpg', 0, 2, 0.75),
    answer('-5, "x".jpg', 1, 0, 0.8),
    answer('/b/6.jpg', 2, 2, 0.6),
  ],
}

const read = (folder: string, name: string) => ({
  json: JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')),
  csv: parseCsv(readFileSync(join(folder, `${name}.csv`), 'utf8'), name).map(
    ({ fields }) => fields,
  ),
})
/** A cell as a spreadsheet shows it. */
const shown = (value: unknown) =>
  value === null ? '' : String(value).replace(/^[=+@-](?!\d)|^-5/, "'$&")
const asCsv = (rows: object[]) => [
  Object.keys(rows[0] ?? {}),
  ...rows.map((row) => Object.values(row).map(shown)),
]

test('three tables, in JSON and in CSV', async () => {
  const folder = join(temporaryFolder(), 'new', 'report')
  await writeReport(folder, answers)
  expect(readdirSync(folder).sort()).toEqual(
    ['per-class', 'confusion', 'mistakes']
      .flatMap((name) => [`${name}.csv`, `${name}.json`])
      .sort(),
  )
  const perClass = read(folder, 'per-class')
  const row = (at: number, n: number, correct: number, other: number | null, count: number) => ({
    class: classes[at],
    n,
    correct,
    accuracy: n ? correct / n : null,
    mostConfusedWith: other === null ? null : classes[other],
    confusedCount: count,
  })
  expect(perClass.json).toEqual([
    row(0, 4, 1, 2, 2),
    row(1, 1, 0, 0, 1),
    row(2, 1, 1, null, 0),
    row(3, 0, 0, null, 0),
  ])
  expect(perClass.csv).toEqual(asCsv(perClass.json))

  const confusion = read(folder, 'confusion')
  const counts = [
    [1, 1, 2, 0],
    [1, 0, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 0],
  ]
  expect(confusion.json).toEqual({ classes, counts })
  expect(confusion.csv).toEqual([
    ['class', ...classes.map(shown)],
    ...counts.map((of, at) => [shown(classes[at]), ...of.map(String)]),
  ])

  const mistakes = read(folder, 'mistakes')
  expect(mistakes.json.map(({ path }: { path: string }) => path)).toEqual([
    '-5, "x".jpg',
    '/b/3.jpg', // as confident as the next one, and before it in the split
    '/b/4.jpg',
    '/b/2.jpg',
  ])
  expect(mistakes.json[0]).toEqual({
    path: '-5, "x".jpg',
    label: classes[1],
    predicted: classes[0],
    probability: 0.8,
    labelProbability: expect.closeTo(0.1, 12),
  })
  expect(mistakes.csv).toEqual(asCsv(mistakes.json))
})

test('the fifty most confident mistakes; without one the tables have their headers', async () => {
  const folder = temporaryFolder()
  const all = Array.from({ length: 120 }, (_, at) => answer(`/${at}`, 0, at % 2, 0.5 + at / 300))
  await writeReport(folder, { ...answers, all })
  const paths = read(folder, 'mistakes').json.map(({ path }: { path: string }) => path)
  expect(paths).toEqual(Array.from({ length: 50 }, (_, at) => `/${119 - 2 * at}`))
  await writeReport(folder, { ...answers, all: [] })
  const { json, csv } = read(folder, 'mistakes')
  expect(json).toEqual([])
  expect(csv).toEqual([['path', 'label', 'predicted', 'probability', 'labelProbability']])
})

test("a batch's answers: each sample's path, and what native found of it", () => {
  const samples = ['a', 'b', 'c'].map((path, label) => ({ path, label }))
  const batch = {
    ...{ samples: Int32Array.of(2, 0), labels: Int32Array.of(2, 0) },
    predictions: Int32Array.of(1, 2),
    predictedProbabilities: Float32Array.of(0.5, 0.75),
    labelProbabilities: Float32Array.of(0.25, 0.125),
  } as EvaluatedBatch
  expect(answersOf(['x', 'y', 'z'], samples, [batch]).all).toEqual([
    { path: 'c', label: 2, predicted: 1, probability: 0.5, labelProbability: 0.25 },
    { path: 'a', label: 0, predicted: 2, probability: 0.75, labelProbability: 0.125 },
  ])
})

test('a folder that cannot be made or written is an E_IO that names it', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'file'), '')
  const refused = (path: string) => ({ code: 'E_IO', message: expect.stringContaining(path) })
  await expect(openReport(join(folder, 'file'))).rejects.toMatchObject(refused('file'))
  await expect(writeReport(join(folder, 'file', 'x'), answers)).rejects.toMatchObject(refused('x'))
  mkdirSync(join(folder, 'full'))
  const disk = {
    writeFile: (path: string) => {
      if (path.includes('confusion.csv')) throw refusal('ENOSPC', 'write')
    },
  }
  await onBrokenDisk(disk, () =>
    expect(writeReport(join(folder, 'full'), answers)).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringMatching(/confusion\.csv cannot be written: the disk is full/),
    }),
  )
})
