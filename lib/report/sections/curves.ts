// The charts: a place each that a script draws in, with words for whoever does not see it.

import { type Html, html } from '../../html.js'
import type { Chart } from '../../page/content.js'
import { chartWords } from '../curves.js'
import { figureText, percentText } from '../figures.js'

export function curvesHtml(charts: readonly Chart[]): Html {
  if (charts.length === 0) return html`<p>There are no curves: no epoch is finished.</p>`
  return html`<p class="muted">The values under the pointer stand below each chart. Drag to enlarge a
part, double-click to see all again; a click on a name hides its curve. Epochs count from 1.</p>
<noscript><p>The charts need JavaScript; metrics.csv in the run folder has their numbers.</p></noscript>
<div class="charts">${charts.map(chartHtml)}</div>`
}

/** For whoever does not see the chart. */
export function wordsOf(chart: Chart): string {
  const words = chartWords(chart, (value, unit) =>
    unit === 'share' ? percentText(value) : figureText(value),
  )
  return `${chart.title}. ${words}`
}

function chartHtml(chart: Chart): Html {
  return html`<figure class="chart" id="chart-${chart.id}">
<h3 id="title-${chart.id}">${chart.title}</h3>
<div class="plot" data-words="${wordsOf(chart)}"></div>
<details><summary>Numbers<span class="hidden"> of ${chart.title}</span></summary>
<div class="scroll" tabindex="0" role="region" aria-labelledby="title-${chart.id}"></div></details>
</figure>`
}
