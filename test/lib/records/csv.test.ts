// CSV for RFC 4180's readers and for spreadsheets.

import { expect, test } from 'vitest'
import { parseCsv } from '../../../lib/data/datasets/lists/csv-text.js'
import { csvText } from '../../../lib/records/csv.js'

const read = (text: string) => parseCsv(text, 'test.csv').map(({ fields }) => fields)

test('fields, quotes, line breaks and empty fields as RFC 4180 has them', () => {
  const rows = [
    ['class', 'n'],
    ['a, b', 1],
    ['the "big" one', -0.5],
    ['two\nlines\r\nthree', 1e-7],
    [' space ', undefined],
    ['', null],
    ['naïve 鳥', Number.NaN],
  ]
  expect(csvText(rows)).toBe(
    'class,n\r\n"a, b",1\r\n"the ""big"" one",-0.5\r\n"two\nlines\r\nthree",1e-7\r\n' +
      ' space ,\r\n,\r\nnaïve 鳥,\r\n',
  )
  const texts = rows.map((row) => row.map((cell) => (Number.isNaN(cell) ? '' : String(cell ?? ''))))
  expect(read(csvText(rows))).toEqual(texts)
})

test.each([
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '\t=1',
  '\r=1',
  '\n=1',
  '\0=1',
  '＝1',
  '＋1',
  '－1',
  '＠1',
  "'=1",
  "''-1",
  '=HYPERLINK("http://example.com", "x")',
])('the text %j is no formula, and an apostrophe less gives it back', (name) => {
  const [[field = '']] = read(csvText([[name]])) as [string[]]
  expect(field).toBe(`'${name}`)
})

test.each(["'", "'quoted'", "it's", 'a=1', ' =1', '1-1'])('the text %j stays as it is', (name) => {
  expect(read(csvText([[name]]))).toEqual([[name]])
})

test('numbers are numbers, the negative ones too, to the last digit', () => {
  expect(csvText([[-1, 0.1 + 0.2, 1e300, Number.POSITIVE_INFINITY]])).toBe(
    '-1,0.30000000000000004,1e+300,\r\n',
  )
})
