// A chart of curves by epoch, drawn by uPlot in the colours of the page's style. It follows its width and the
// light or dark mode, and shows the values under the pointer in its legend.

const HEIGHT = 240
const COLOURS = 8
/** By kind of curve: train, test, validation, average. */
const DASHES = [[], [8, 4], [2, 3], [12, 4, 2, 4]]
const MARKS = ['solid', 'dashed', 'dotted', 'double'] // the same in the legend

/**
 * @param {number | null | undefined} value
 * @param {Chart['unit']} unit
 */
function valueText(value, unit) {
  if (value === null || value === undefined) return '–'
  if (unit === 'share') return `${(100 * value).toFixed(1)} %`
  if (Number.isInteger(value)) return String(value)
  return Math.abs(value) < 0.001 ? value.toExponential(2) : String(Number(value.toPrecision(4)))
}

/** @param {string} name of a custom property */
function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/**
 * Of one run the kinds of curves have the colours; of several the runs have them, and the kinds have
 * dashes.
 * @param {Series} series @param {number} runs
 */
function strokeOf({ run, kind }, runs) {
  return colourOf(`--curve-${(runs > 1 ? run : kind) % COLOURS}`)
}

/** @param {Chart} chart @param {number} runs @param {number} width @returns {uPlot.Options} */
function optionsOf(chart, runs, width) {
  const axis = {
    stroke: () => colourOf('--muted'),
    grid: { stroke: () => colourOf('--line'), width: 1 },
    ticks: { stroke: () => colourOf('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  }
  return {
    width,
    height: HEIGHT,
    scales: { x: { time: false } },
    legend: { markers: { dash: markOf(chart, runs), width: markWidthOf(chart, runs) } },
    cursor: {
      y: false,
      drag: { x: true, y: false },
      points: { fill: (_, at) => strokeOf(/** @type {Series} */ (chart.series[at - 1]), runs) },
    },
    axes: [
      { ...axis, size: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
      { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => tickText(tick, chart.unit)) },
    ],
    series: [
      { label: 'epoch', value: (_, value) => valueText(value, 'plain') },
      ...chart.series.map((series) => ({
        label: series.label,
        stroke: () => strokeOf(series, runs),
        width: 2,
        dash: runs > 1 ? (DASHES[series.kind % DASHES.length] ?? []) : [],
        points: { fill: () => colourOf('--paper') },
        spanGaps: true, // epochs without an evaluation
        value: (/** @type {uPlot} */ _, /** @type {number | null} */ value) =>
          valueText(value, chart.unit),
      })),
    ],
  }
}

/** @param {Chart} chart @param {number} runs @returns {(plot: uPlot, series: number) => string} */
function markOf({ series }, runs) {
  return (_, at) => (runs > 1 && MARKS[series[at - 1]?.kind ?? 0]) || 'solid'
}

/** A double line needs room. @param {Chart} chart @param {number} runs */
function markWidthOf(chart, runs) {
  const markAt = markOf(chart, runs)
  return (/** @type {uPlot} */ plot, /** @type {number} */ at) =>
    markAt(plot, at) === 'double' ? 4 : 2
}

/** @param {number} tick @param {Chart['unit']} unit */
function tickText(tick, unit) {
  if (unit === 'share') return `${Number((100 * tick).toPrecision(6))} %`
  return tick !== 0 && Math.abs(tick) < 0.001 ? tick.toExponential() : String(tick)
}

/** @param {Chart} chart @returns {uPlot.AlignedData} */
function pointsOf({ epochs, series }) {
  return [epochs, ...series.map(({ values }) => values)]
}

/**
 * @param {HTMLElement} place of the page; what it holds in words describes the chart
 * @param {Chart} chart
 * @param {number} runs how many the page shows
 * @returns {{ update(chart: Chart, runs: number): void }} draws the chart with other points or curves
 */
function drawChart(place, chart, runs) {
  let shown = chart
  let count = runs
  let plot = make()

  function make() {
    const made = new uPlot(optionsOf(shown, count, place.clientWidth), pointsOf(shown), place)
    made.root.querySelector('.u-wrap')?.setAttribute('role', 'img')
    describe(made)
    return made
  }

  /** @param {uPlot} made */
  function describe(made) {
    const words = place.dataset.words ?? shown.title
    made.root.querySelector('.u-wrap')?.setAttribute('aria-label', words)
  }

  function again() {
    plot.destroy()
    plot = make()
  }

  new ResizeObserver(() => {
    const width = place.clientWidth
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT })
  }).observe(place)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again)
  return {
    update(next, nextCount) {
      const isSame =
        nextCount === count &&
        next.series.length === shown.series.length &&
        next.series.every(({ label }, at) => label === shown.series[at]?.label)
      shown = next
      count = nextCount
      if (!isSame) return again()
      plot.setData(pointsOf(next))
      describe(plot)
    },
  }
}
