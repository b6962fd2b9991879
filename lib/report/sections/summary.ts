// The top of the page: a row a run, what is missing, and the table of a comparison.

import type { CompareReport } from '../../compare/report.js'
import type { EpochEvent } from '../../events.js'
import { type Html, html, nameHtml } from '../../html.js'
import { durationText, figureText, percentText, pointsText } from '../figures.js'
import type { RunRecords } from '../run.js'
import { runHtml, type Shown, tableHtml } from './parts.js'

export function summaryHtml(runs: readonly RunRecords[], shown: Shown): Html {
  const columns = [
    { head: 'run' },
    ...['loss', 'network'].map((head) => ({ head })),
    ...['epochs', 'best top-1', 'at epoch', 'mean per class', 'last top-1', 'images', 'time'].map(
      (head) => ({ head, isNumber: true }),
    ),
  ]
  const rows = runs.map((run, at) => {
    const { best, last, seconds, all } = figuresOf(run)
    const epoch = best && run.bestEpoch !== undefined ? run.bestEpoch + 1 : null
    return [
      { content: runHtml(shown, at) },
      { content: textAt(run.config, 'loss', 'name') },
      { content: textAt(run.config, 'model', 'backbone') },
      { content: `${run.epochs.length} of ${all ?? '?'}`, value: run.epochs.length },
      { content: percentText(best?.top1), value: best?.top1 ?? null },
      { content: figureText(epoch), value: epoch },
      { content: percentText(best?.meanPerClass), value: best?.meanPerClass ?? null },
      { content: percentText(last?.top1), value: last?.top1 ?? null },
      { content: figureText(best?.n), value: best?.n ?? null },
      { content: durationText(seconds), value: seconds },
    ]
  })
  return html`${tableHtml('The runs', columns, rows)}<p class="muted">${WORDS}</p>`
}

const WORDS =
  'The figures are those of the split that the best epoch was picked on. If that was a validation ' +
  'split, the test figures below come from one reading of the test split at the end. One run is ' +
  'one seed: it proves no difference.'

function figuresOf({ epochs, bestEpoch, start, config }: RunRecords) {
  const ofAverage = textAt(config, 'best', 'of') === 'ema'
  const picked = ({ ema, validation, test }: EpochEvent) => (ofAverage ? ema : (validation ?? test))
  const best = epochs.find(({ epoch }) => epoch === bestEpoch)
  const last = epochs.findLast(picked)
  return {
    best: best && picked(best),
    last: last && picked(last),
    seconds: epochs.reduce((sum, event) => sum + event.seconds, 0),
    all: epochs.at(-1)?.epochs ?? start?.epochs,
  }
}

export function textAt(config: object | undefined, part: string, key: string): string {
  const value = Object((config as Record<string, unknown> | undefined)?.[part])[key]
  return value === undefined ? '–' : String(value)
}

export function testHtml(runs: readonly RunRecords[], shown: Shown): Html {
  const read = runs.flatMap(({ test }, at) => (test ? [{ test, at }] : []))
  if (read.length === 0) return html``
  const heads = ['top-1', 'top-5', 'mean per class', 'cross entropy', 'images', 'of epoch']
  const columns = [{ head: 'run' }, ...heads.map((head) => ({ head, isNumber: true }))]
  const rows = read.map(({ test: { test, epoch }, at }) => [
    { content: runHtml(shown, at) },
    ...[test.top1, test.top5, test.meanPerClass].map((value) => ({
      ...{ content: percentText(value), value },
    })),
    { content: figureText(test.loss), value: test.loss },
    { content: String(test.n), value: test.n },
    { content: String(epoch + 1), value: epoch + 1 },
  ])
  return html`<h3>The test split, read once</h3>${tableHtml('The test split', columns, rows)}`
}

export function notesHtml(title: string, notes: readonly Html[]): Html {
  if (notes.length === 0) return html``
  return html`<section class="notes"><h2>${title}</h2>
<ul>${notes.map((note) => html`<li>${note}</li>`)}</ul></section>`
}

export function comparisonHtml({ name, about, entries, comparisons, failed }: CompareReport): Html {
  const heads = ['top-1', 'sd', 'seeds', 'processor s', 'difference, points', 'from', 'to']
  const columns = [{ head: 'entry' }, ...heads.map((head) => ({ head, isNumber: true }))]
  const rows = entries.map(({ label, baseline, mean, sd, seeds, seconds, difference }) => [
    { content: html`${nameHtml(label)}${baseline === label ? ' (baseline)' : ''}` },
    { content: percentText(mean), value: mean },
    { content: percentText(sd), value: sd },
    { content: String(seeds.length), value: seeds.length },
    { content: figureText(seconds), value: seconds },
    { content: pointsText(difference?.mean), value: difference?.mean ?? null },
    { content: pointsText(difference?.low), value: difference?.low ?? null },
    { content: pointsText(difference?.high), value: difference?.high ?? null },
  ])
  return html`<section id="comparison"><h2>Comparison ${nameHtml(name)}</h2>
${about ? html`<p>${about}</p>` : null}
${tableHtml('Entries: means over their seeds', columns, rows)}
<p class="muted">A difference is in percentage points of top-1, the mean over the seeds that an entry and
its baseline share; from and to are its 95 % interval. ${comparisons} differences are shown; of twenty
without any effect one interval leaves out 0 on average.</p>
${failed.map(({ seed, error }) => html`<p>Failed: seed ${seed}: ${error}</p>`)}</section>`
}
