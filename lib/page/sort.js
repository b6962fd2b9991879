// Tables that are sorted by a click on a column's name, or by its key: the names become buttons. A cell's
// `data-value` is the number it is sorted by; else its text is. Cells without a value stay last.

const byText = new Intl.Collator(undefined, { numeric: true })

/** @param {HTMLTableElement} table */
function makeSortable(table) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])]
  heads.forEach((head, column) => {
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => {
      const isNumber = head.classList.contains('number')
      const before = head.getAttribute('aria-sort')
      const next = before ?? (isNumber ? 'ascending' : 'descending')
      const order = next === 'ascending' ? 'descending' : 'ascending'
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', order)
      sortRows(table, column, order === 'ascending' ? 1 : -1)
    })
  })
}

/** @param {HTMLTableElement} table @param {number} column @param {1 | -1} sign */
function sortRows(table, column, sign) {
  const body = table.tBodies[0]
  const rows = [...(body?.rows ?? [])].map((row) => ({ row, value: cellValue(row.cells[column]) }))
  rows.sort((a, b) => {
    if (a.value === undefined || b.value === undefined) {
      return Number(a.value === undefined) - Number(b.value === undefined)
    }
    if (typeof a.value === 'number' && typeof b.value === 'number') {
      return sign * (a.value - b.value)
    }
    return sign * byText.compare(String(a.value), String(b.value))
  })
  body?.append(...rows.map(({ row }) => row))
}

/** @param {HTMLTableCellElement | undefined} cell */
function cellValue(cell) {
  const { value } = cell?.dataset ?? {}
  if (value !== undefined) return value === '' ? undefined : Number(value)
  return cell?.textContent?.trim() || undefined
}
