// The dashboard's page: shows each snapshot of the runs that the server sends.

/** @type {Map<string, RunCard>} */
const cards = new Map()
/** @type {Map<string, { figure: HTMLElement, show(chart: LiveChart, runs: number): void }>} */
const figures = new Map()

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id))

const events = new EventSource('events')
events.addEventListener('open', () => say('live', 'live'))
events.addEventListener('error', () => {
  say('lost', 'The dashboard does not answer. Its figures below are old; start it again.')
})
events.addEventListener('message', ({ data }) => {
  const snapshot = JSON.parse(data)
  if (snapshot) show(snapshot)
})

/** @param {string} state @param {string} words */
function say(state, words) {
  part('connection').dataset.state = state
  part('connection').textContent = words
}

/** @param {Snapshot} snapshot */
function show({ runs, more, charts }) {
  part('no-runs').hidden = runs.length > 0
  part('no-curves').hidden = runs.length === 0 || charts.length > 0
  part('more').hidden = more === 0
  part('more').textContent = `${more} older runs are not shown. Name their own folder to see them.`
  for (const [at, run] of runs.entries()) {
    const card = cards.get(run.id) ?? makeCard()
    cards.set(run.id, card)
    card.show(run, at, runs.length)
    place(part('runs'), card.root, at)
  }
  leave(cards, new Set(runs.map(({ id }) => id)), ({ root }) => root)
  for (const [at, chart] of charts.entries()) {
    const figure = figures.get(chart.id) ?? makeFigure()
    figures.set(chart.id, figure)
    place(part('charts'), figure.figure, at) // first: a chart has the width of its place
    figure.show(chart, runs.length)
  }
  leave(figures, new Set(charts.map(({ id }) => id)), ({ figure }) => figure)
}

/** What is in its place is not touched: it may have the focus. @param {HTMLElement} parent @param {HTMLElement} child @param {number} at */
function place(parent, child, at) {
  if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null)
}

/**
 * Takes away what is no longer there.
 * @template T @param {Map<string, T>} all @param {Set<string>} kept @param {(one: T) => HTMLElement} rootOf
 */
function leave(all, kept, rootOf) {
  for (const [id, one] of all) {
    if (kept.has(id)) continue
    rootOf(one).remove()
    all.delete(id)
  }
}

function makeFigure() {
  const figure = element('figure', 'chart')
  const [head, plot] = [element('h3', ''), element('div', 'plot')]
  const details = /** @type {HTMLDetailsElement} */ (document.createElement('details'))
  const summary = element('summary', '', 'Numbers')
  const hidden = element('span', 'hidden')
  const scroll = element('div', 'scroll')
  summary.append(hidden)
  scroll.tabIndex = 0
  scroll.setAttribute('role', 'region')
  details.append(summary, scroll)
  figure.append(head, plot, details)
  /** @type {ReturnType<typeof drawChart> | undefined} */
  let drawn
  /** @type {ReturnType<typeof offerNumbers> | undefined} */
  let numbers
  return {
    figure,
    /** @param {LiveChart} chart @param {number} runs */
    show(chart, runs) {
      head.textContent = chart.title
      hidden.textContent = ` of ${chart.title}`
      scroll.setAttribute('aria-label', chart.title)
      plot.dataset.words = chart.words
      if (drawn) drawn.update(chart, runs)
      else drawn = drawChart(plot, chart, runs)
      if (numbers) numbers.update(chart)
      else numbers = offerNumbers(details, chart)
    },
  }
}
