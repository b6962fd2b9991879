// Values of a MAT file in the form of test/fixtures/mat5/expected.jsonl.

import type { MatValue } from '../../lib/data/datasets/mat/mat5.js'

/** Numbers beyond JSON's (not finite, past 2^53) are strings, as make_mat5.py writes them. */
function numberJson(value: number | bigint): number | string {
  const number = Number(value)
  if (typeof value === 'bigint') return Number.isSafeInteger(number) ? number : String(value)
  if (Number.isNaN(value)) return 'nan'
  return Number.isFinite(value) ? number : value > 0 ? 'inf' : '-inf'
}

export function matJson(value: MatValue): object {
  switch (value.is) {
    case 'char':
      return { rows: value.rows }
    case 'cell':
      return { dims: value.dims, cell: value.values.map(matJson) }
    case 'struct': {
      const fields = [...value.fields].map(([name, values]) => [name, values.map(matJson)])
      return { dims: value.dims, fields: Object.fromEntries(fields) }
    }
    default:
      return {
        dims: value.dims,
        data: Array.from<number | bigint, string | number>(value.data, numberJson),
      }
  }
}
