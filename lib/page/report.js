// The report's page: draws a chart when it comes near the view, or onto paper, and makes its tables sortable.

/** @type {PageData} */
const { charts, runs } = JSON.parse(document.getElementById('data')?.textContent ?? '')

/** @type {Map<Element, Chart>} */
const undrawn = new Map()
const nearView = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target)
  },
  { rootMargin: '300px' },
)

/** @param {Element} place */
function draw(place) {
  const chart = undrawn.get(place)
  if (!chart) return
  undrawn.delete(place)
  nearView.unobserve(place)
  place.role = place.ariaLabel = null // the chart itself has them from here on
  drawChart(/** @type {HTMLElement} */ (place), chart, runs)
}

for (const chart of charts) {
  const figure = document.getElementById(`chart-${chart.id}`)
  const place = /** @type {HTMLElement | null} */ (figure?.querySelector('.plot'))
  const numbers = figure?.querySelector('details')
  if (numbers) offerNumbers(numbers, chart)
  if (!place) continue
  place.role = 'img'
  place.ariaLabel = place.dataset.words ?? chart.title
  undrawn.set(place, chart)
  nearView.observe(place)
}
addEventListener('beforeprint', () => {
  for (const place of [...undrawn.keys()]) draw(place)
})
for (const table of document.querySelectorAll('table.sortable')) {
  makeSortable(/** @type {HTMLTableElement} */ (table))
}
