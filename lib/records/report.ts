// report/: three tables of a model's answers to a test split, each as JSON and as CSV with the same
// contents.

import { access, constants, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Answers } from './answers.js'
import { type Cell, csvText } from './csv.js'
import { orNotWritten, replaceRecord } from './files.js'

const MISTAKES = 50

/** Makes the folder. Called before the work whose result it takes. @throws McLossError E_IO */
export async function openReport(folder: string): Promise<void> {
  await orNotWritten(folder, async () => {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK)
  })
}

/** @throws McLossError E_IO */
export async function writeReport(folder: string, answers: Answers): Promise<void> {
  await openReport(folder)
  const { classes } = answers
  const counts = confusion(answers)
  await writeTable(folder, 'per-class', PER_CLASS, perClass(classes, counts))
  await writeTable(folder, 'mistakes', MISTAKE, mistakes(answers))
  await replaceRecord(
    join(folder, 'confusion.json'),
    `{"classes":${JSON.stringify(classes)},"counts":${lines(counts)}}\n`,
  )
  const rows = counts.map((row, label) => [classes[label], ...row])
  await replaceRecord(join(folder, 'confusion.csv'), csvText([['class', ...classes], ...rows]))
}

async function writeTable<Column extends string>(
  folder: string,
  name: string,
  columns: readonly Column[],
  records: readonly Record<Column, Cell>[],
): Promise<void> {
  const rows = records.map((record) => columns.map((column) => record[column]))
  await replaceRecord(join(folder, `${name}.json`), `${lines(records)}\n`)
  await replaceRecord(join(folder, `${name}.csv`), csvText([columns, ...rows]))
}

/** A JSON array, an element a line. */
function lines(rows: readonly object[]): string {
  return `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]`
}

/** Rows are labels, columns what was predicted: how often. */
function confusion({ classes, all }: Answers): number[][] {
  const counts = classes.map(() => new Array<number>(classes.length).fill(0))
  for (const { label, predicted } of all) {
    const row = counts[label] as number[]
    row[predicted] = (row[predicted] as number) + 1
  }
  return counts
}

const PER_CLASS = [
  'class',
  'n',
  'correct',
  'accuracy',
  'mostConfusedWith',
  'confusedCount',
] as const

function perClass(
  classes: readonly string[],
  counts: number[][],
): Record<(typeof PER_CLASS)[number], Cell>[] {
  return counts.map((row, label) => {
    const n = row.reduce((a, b) => a + b, 0)
    const correct = row[label] as number
    const confusedCount = Math.max(0, ...row.filter((_, predicted) => predicted !== label))
    const other = row.findIndex(
      (count, predicted) => predicted !== label && count === confusedCount,
    )
    return {
      class: classes[label],
      n,
      correct,
      accuracy: n > 0 ? correct / n : null,
      mostConfusedWith: confusedCount > 0 ? classes[other] : null,
      confusedCount,
    }
  })
}

const MISTAKE = ['path', 'label', 'predicted', 'probability', 'labelProbability'] as const

/** The most confident first; of equal ones that of the earlier sample. */
function mistakes({ classes, all }: Answers): Record<(typeof MISTAKE)[number], Cell>[] {
  return all
    .filter(({ label, predicted }) => label !== predicted)
    .sort((a, b) => b.probability - a.probability)
    .slice(0, MISTAKES)
    .map(({ path, label, predicted, probability, labelProbability }) => ({
      path,
      label: classes[label],
      predicted: classes[predicted],
      probability,
      labelProbability,
    }))
}
