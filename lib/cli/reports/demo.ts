// The demo's rows as a table for a terminal.

import type { DemoRow } from '../../demo.js'

export function formatDemo(rows: DemoRow[]): string {
  const cells = [
    ['loss', 'train loss', 'test loss', 'top-1 %', 'top-5 %', 'seconds'],
    ...rows.map(({ loss, trainLoss, test, seconds }) => [
      loss === 'ce' ? 'cross entropy' : 'MC-Loss',
      trainLoss.toFixed(3),
      test.loss.toFixed(3),
      (100 * test.top1).toFixed(1),
      (100 * test.top5).toFixed(1),
      seconds.toFixed(0),
    ]),
  ]
  const widths =
    cells[0]?.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? '').length))) ?? []
  return cells
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}
