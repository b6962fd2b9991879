// RUN/metrics.csv: a row an epoch, a column a figure. It says what the epoch events of metrics.jsonl say,
// so a run that goes on begins with theirs.

import { readFile } from 'node:fs/promises'
import { unlessMissing } from '../files/system-errors.js'
import { csvText } from './csv.js'
import { figuresOf } from './figures.js'
import { appendTo, replaceRecord } from './files.js'

type Row = Map<string, number>

export class MetricsCsv {
  readonly #path: string
  readonly #rows: Row[] = []
  readonly #columns: string[] = []

  private constructor(path: string) {
    this.#path = path
  }

  /** With the rows of the epochs before `epoch` as `journal`, the run's metrics.jsonl, has them. */
  static async open(path: string, journal: string, epoch: number): Promise<MetricsCsv> {
    const csv = new MetricsCsv(path)
    for (const row of await earlierRows(journal, epoch)) csv.#take(row)
    await csv.#replace()
    return csv
  }

  async add(event: object): Promise<void> {
    const row = rowOf(event)
    if (this.#take(row)) await this.#replace()
    else await appendTo(this.#path, csvText([this.#cells(row)]))
  }

  /** Returns whether there are new columns: the first epochs may have no evaluation. */
  #take(row: Row): boolean {
    this.#rows.push(row)
    const known = this.#columns.length
    for (const name of row.keys()) if (!this.#columns.includes(name)) this.#columns.push(name)
    return this.#columns.length > known
  }

  #replace(): Promise<void> {
    const header = this.#columns.length > 0 ? [this.#columns] : []
    const rows = this.#rows.map((row) => this.#cells(row))
    return replaceRecord(this.#path, csvText([...header, ...rows]))
  }

  #cells(row: Row): (number | undefined)[] {
    return this.#columns.map((name) => row.get(name))
  }
}

function rowOf(event: object): Row {
  return new Map(figuresOf(event, '.'))
}

/** Of an epoch that was trained again the newest. A process that was killed leaves half a line. */
async function earlierRows(journal: string, epoch: number): Promise<Iterable<Row>> {
  const what = `records: ${journal} cannot be read`
  const text = (await unlessMissing(readFile(journal, 'utf8'), 'E_IO', what)) ?? ''
  const rows = new Map<number, Row>()
  for (const line of text.split('\n')) {
    if (!line.startsWith('{"type":"epoch"')) continue
    const event = parsed(line)
    if (event && event.epoch < epoch) rows.set(event.epoch, rowOf(event))
  }
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
}

function parsed(line: string): { epoch: number } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
