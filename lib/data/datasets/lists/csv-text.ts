// CSV as RFC 4180 has it: fields between commas, quoted ones with doubled quotes and line breaks in
// them, lines ending in LF or CRLF. Empty lines are left out.

import { type Place, placeError } from './place.js'
import { MAX_LINES } from './text-list.js'

const MAX_FIELD = 2 ** 16 // characters, quotes too
const MAX_COLUMNS = 1000

export interface CsvRecord {
  fields: string[]
  place: Place
}

/**
 * The records of a CSV text, the header first. `file` is for messages.
 *
 * @throws McLossError E_DATA naming the line of a quote out of place, or of a record that has not
 * as many fields as the first.
 */
export function parseCsv(text: string, file: string): CsvRecord[] {
  const records: CsvRecord[] = []
  let fields: string[] = []
  let line = 1
  let place: Place = { file, at: 'line 1' }
  const refuse = (expected: string, received: string) => {
    throw placeError({ file, at: `line ${line}` }, expected, received)
  }
  for (let at = 0; at < text.length || fields.length > 0; ) {
    if (fields.length === 0) {
      const start = skipEmptyLines(text, at)
      line += start.lines
      at = start.at
      if (at === text.length) break
      place = { file, at: `line ${line}` }
    }
    const isQuoted = text[at] === '"'
    const end = isQuoted ? closingQuote(text, at) + 1 : plainEnd(text, at)
    const breakLength = text.startsWith('\r\n', end) ? 2 : 1
    const isLast = end === text.length || text[end + breakLength - 1] === '\n'
    if (end < at || !(isLast || text[end] === ',')) {
      refuse('a field, quoted as RFC 4180 says', text.slice(at, at + 80).split('\n', 1)[0] ?? '')
    }
    if (end - at > MAX_FIELD) refuse(`fields of at most ${MAX_FIELD} characters`, 'more')
    const field = text.slice(at, end)
    fields.push(isQuoted ? field.slice(1, -1).replaceAll('""', '"') : field)
    if (isQuoted) line += field.split('\n').length - 1
    at = end + (isLast ? breakLength : 1)
    const width = records[0]?.fields.length ?? MAX_COLUMNS
    if (fields.length > width) throw placeError(place, `at most ${width} fields`, fields)
    if (!isLast) continue
    if (records.length > 0 && fields.length < width)
      throw placeError(place, `${width} fields`, fields)
    if (records.push({ fields, place }) > MAX_LINES) refuse(`at most ${MAX_LINES} records`, 'more')
    fields = []
    line++
  }
  return records
}

/** Where the next line that is not empty begins, and the lines before it. */
function skipEmptyLines(text: string, from: number): { at: number; lines: number } {
  let at = from
  let lines = 0
  for (;;) {
    if (text[at] === '\n') at++
    else if (text.startsWith('\r\n', at)) at += 2
    else return { at, lines }
    lines++
  }
}

/** Where the quoted field that opens at `at` closes; -1 where it does not. */
function closingQuote(text: string, at: number): number {
  let end = text.indexOf('"', at + 1)
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2)
  return end
}

function plainEnd(text: string, at: number): number {
  const delimiter = /[",\r\n]/g
  delimiter.lastIndex = at
  return delimiter.exec(text)?.index ?? text.length
}
