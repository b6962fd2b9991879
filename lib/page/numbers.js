// A chart's numbers as a table, made when it is opened: a row an epoch.

/**
 * @param {HTMLDetailsElement} details @param {Chart} chart
 * @returns {{ update(chart: Chart): void }} shows other numbers
 */
function offerNumbers(details, chart) {
  const place = details.querySelector('.scroll')
  let shown = chart
  const fill = () => {
    if (details.open) place?.replaceChildren(numbersOf(shown))
  }
  details.addEventListener('toggle', fill)
  return {
    update(next) {
      shown = next
      fill()
    },
  }
}

/** @param {Chart} chart */
function numbersOf({ title, unit, epochs, series }) {
  const table = document.createElement('table')
  const caption = table.createCaption()
  caption.className = 'hidden'
  caption.textContent = title
  const head = table.createTHead().insertRow()
  for (const label of ['epoch', ...series.map(({ label }) => label)]) {
    const cell = document.createElement('th')
    cell.scope = 'col'
    cell.dir = 'auto'
    cell.textContent = label
    head.append(cell)
  }
  const body = table.createTBody()
  epochs.forEach((epoch, at) => {
    const row = body.insertRow()
    const cell = document.createElement('th')
    cell.scope = 'row'
    cell.textContent = String(epoch)
    row.append(cell)
    for (const { values } of series) row.insertCell().textContent = valueText(values[at], unit)
  })
  return table
}
