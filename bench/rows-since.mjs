// Prints as Markdown the rows of bench/results.jsonl after the first N, with the goals they meet or not.
// Usage: node bench/rows-since.mjs N

import { figureText, goalText } from './page.mjs'
import { readRows } from './rows.mjs'

const rows = readRows().slice(Number(process.argv[2]))
console.log('| claim | setting | ours / peer | goal | check |')
console.log('|---|---|---|---|---|')
for (const row of rows) {
  const figure = row.void ? 'no figure' : figureText(row)
  const goal = row.void ? '-' : goalText(row)
  const check = `${row.check.ok ? 'passed' : 'FAILED'}: ${row.check.text}`
  console.log(`| ${[row.claim, row.setting, figure, goal, check].join(' | ')} |`)
}
