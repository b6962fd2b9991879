// CSV as RFC 4180 has it: fields between commas, quoted ones with doubled quotes and line breaks in
// them, lines ending in LF or CRLF. Empty lines are left out.

import { type Place, placeError } from './place.js'
import { MAX_LINES } from './text-list.js'

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
  for (let at = 0; at < text.length || fields.length > 0; ) {
    const isQuoted = text[at] === '"'
    const end = isQuoted ? closingQuote(text, at) + 1 : plainEnd(text, at)
    const breakLength = text.startsWith('\r\n', end) ? 2 : 1
    const isLast = end === text.length || text[end + breakLength - 1] === '\n'
    if (end < at || !(isLast || text[end] === ',')) {
      const received = text.slice(at, at + 80).split('\n', 1)[0]
      throw placeError({ file, at: `line ${line}` }, 'a field, quoted as RFC 4180 says', received)
    }
    const field = text.slice(at, end)
    fields.push(isQuoted ? field.slice(1, -1).replaceAll('""', '"') : field)
    if (isQuoted) line += field.split('\n').length - 1
    at = end + (isLast ? breakLength : 1)
    if (!isLast) continue
    const width = records[0]?.fields.length ?? fields.length
    const isEmpty = fields.length === 1 && field === ''
    if (!isEmpty && fields.length !== width) throw placeError(place, `${width} fields`, fields)
    if (!isEmpty && records.push({ fields, place }) > MAX_LINES) {
      throw placeError(place, `at most ${MAX_LINES} records`, 'more')
    }
    fields = []
    place = { file, at: `line ${++line}` }
  }
  return records
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
