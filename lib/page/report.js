// The report's page: draws its charts and makes its tables sortable.

/** @type {PageData} */
const { charts, runs } = JSON.parse(document.getElementById('data')?.textContent ?? '')

for (const chart of charts) {
  const figure = document.getElementById(`chart-${chart.id}`)
  const place = /** @type {HTMLElement | null} */ (figure?.querySelector('.plot'))
  const numbers = figure?.querySelector('details')
  if (place) drawChart(place, chart, runs)
  if (numbers) offerNumbers(numbers, chart)
}
for (const table of document.querySelectorAll('table.sortable')) {
  makeSortable(/** @type {HTMLTableElement} */ (table))
}
