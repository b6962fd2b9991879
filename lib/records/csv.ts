// CSV as RFC 4180 has it, for spreadsheets too.

/** A text, a number, or nothing: undefined, null and numbers that are not finite leave a field empty. */
export type Cell = string | number | null | undefined

/** Lines that end in CRLF, the header first. */
export function csvText(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('')
}

function field(cell: Cell): string {
  if (typeof cell === 'number') return Number.isFinite(cell) ? String(cell) : ''
  const text = harmless(cell ?? '')
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/**
 * A spreadsheet takes a text that begins with one of these for a formula, in quotes too; after an
 * apostrophe it does not. Apostrophes before one get another, so that taking one off gives the text.
 */
const FORMULA = /^'*[=+\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]/

function harmless(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text
}
