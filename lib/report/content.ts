// The sections of a report in their order.

import type { CompareReport } from '../compare/report.js'
import { type Html, html } from '../html.js'
import type { Chart } from '../page/content.js'
import type { Examples } from './examples.js'
import type { Pair } from './pairs.js'
import type { RunRecords } from './run.js'
import { classesHtml, mistakesHtml, pairsHtml } from './sections/classes.js'
import { curvesHtml } from './sections/curves.js'
import { mapsHtml } from './sections/maps.js'
import { type Pictures, runHtml, type Shown } from './sections/parts.js'
import { configHtml, environmentHtml } from './sections/settings.js'
import { comparisonHtml, notesHtml, summaryHtml, testHtml } from './sections/summary.js'

export interface Content {
  title: string
  runs: readonly RunRecords[]
  study: CompareReport | undefined
  charts: readonly Chart[]
  pairs: readonly Pair[]
  examples: Examples
  /** Of all pages: what is missing. */
  notes: readonly string[]
  mistakesPerRun: number
  mapsPerRun: number
}

export function contentHtml(content: Content, pictures: Pictures): Html {
  const { title, runs, study, charts, pairs, examples, notes } = content
  const shown: Shown = { names: runs.map(({ name }) => name), ...pictures }
  const ofRuns = (of: (run: RunRecords) => readonly string[]) =>
    runs.flatMap((run, at) => of(run).map((text) => html`${runHtml(shown, at)}: ${text}`))
  const missing = [...notes.map((note) => html`${note}`), ...ofRuns((run) => run.notes)]
  const sections: [id: string, heading: string, body: Html][] = [
    ['runs', runs.length === 1 ? 'The run' : 'The runs', summaryHtml(runs, shown)],
    ['curves', 'Curves', curvesHtml(charts)],
    ['classes', 'Accuracy by class', classesHtml(runs, shown)],
    ['pairs', 'Classes taken for each other', pairsHtml(pairs, examples.of, shown)],
    [
      'mistakes',
      'Most confident mistakes',
      mistakesHtml(runs, content.mistakesPerRun, examples.of, shown),
    ],
    ['maps', 'Channel maps', mapsHtml(runs, content.mapsPerRun, shown)],
    ['configuration', 'Configuration', configHtml(runs, shown)],
    ['environment', 'Environment', environmentHtml(runs, shown)],
  ]
  return html`<header><h1><bdi>${title}</bdi></h1>
<nav aria-label="Sections"><ul>${sections.map(
    ([id, heading]) => html`<li><a href="#${id}">${heading}</a></li>`,
  )}</ul></nav></header>
<main>
${notesHtml('What is missing', missing)}
${notesHtml(
  'What the runs warned of',
  ofRuns((run) => run.warnings),
)}
${study ? comparisonHtml(study) : null}
${sections.map(
  ([id, heading, body]) => html`<section id="${id}"><h2>${heading}</h2>
${body}${id === 'runs' ? testHtml(runs, shown) : null}</section>`,
)}
</main>`
}
