// Accuracy by class, the classes that are taken for each other, and the most confident mistakes.

import { type Html, html, nameHtml } from '../../html.js'
import { percentText, pointsText } from '../figures.js'
import type { Mixed, Pair } from '../pairs.js'
import type { ClassFigures, Mistake, RunRecords } from '../run.js'
import { pictureHtml, runHtml, type Shown, tableHtml } from './parts.js'

export function classesHtml(runs: readonly RunRecords[], shown: Shown): Html {
  const known = runs.flatMap(({ perClass }, at) =>
    perClass ? [{ at, of: new Map(perClass.map((one) => [one.class, one])) }] : [],
  )
  if (known.length === 0) return html`<p>No run has figures by class (report/per-class.json).</p>`
  const names = [...new Set(known.flatMap(({ of }) => [...of.keys()]))]
  const isPair = known.length === 2
  const isOne = known.length === 1
  const columns = [
    { head: 'class' },
    { head: 'images', isNumber: true },
    ...known.map(({ at }) => ({
      head: isOne ? 'accuracy' : runHtml(shown, at),
      isNumber: true,
    })),
    ...(isPair ? [{ head: 'second − first, points', isNumber: true }] : []),
    ...(isOne ? [{ head: 'most often taken for' }, { head: 'times', isNumber: true }] : []),
  ]
  const rows = names.map((name) => {
    const found = known.map(({ of }) => of.get(name))
    const [first, second] = found
    const images = found.find((one) => one)?.n ?? 0
    const change = isPair ? difference(first?.accuracy, second?.accuracy) : null
    return [
      { content: nameHtml(name) },
      { content: String(images), value: images },
      ...found.map(accuracyCell),
      ...(isPair ? [{ content: pointsText(change), value: change }] : []),
      ...(isOne ? confusedCells(first) : []),
    ]
  })
  return tableHtml('Accuracy by class on the test split', columns, rows)
}

function accuracyCell(figures: ClassFigures | undefined) {
  const accuracy = figures?.accuracy ?? null
  const bar =
    accuracy === null ? null : html`<meter value="${accuracy}" aria-hidden="true"></meter>`
  return { content: html`${bar}${percentText(accuracy)}`, value: accuracy }
}

const difference = (first: number | null | undefined, second: number | null | undefined) =>
  typeof first === 'number' && typeof second === 'number' ? second - first : null

function confusedCells(figures: ClassFigures | undefined) {
  const { mostConfusedWith: other, confusedCount = 0 } = figures ?? {}
  return [
    { content: other ? nameHtml(other) : '–' },
    { content: String(confusedCount), value: confusedCount },
  ]
}

/** Paths of pictures of a class. */
type Examples = (name: string) => readonly string[]

export function pairsHtml(pairs: readonly Pair[], examples: Examples, shown: Shown): Html {
  if (pairs.length === 0) return html`<p>No run has confusions to show (report/confusion.json).</p>`
  const side = (name: string) => {
    const pictures = examples(name).map((path) => pictureHtml(shown, path, `An image of ${name}`))
    return html`<div><div class="thumbs">${pictures}</div><p>${nameHtml(name)}</p></div>`
  }
  const card = ({ class: name, other, runs }: Pair) => html`<li>
<div class="two">${side(name)}${side(other)}</div>
${runs.flatMap((mixed, run) => (mixed ? [mixedHtml(mixed, run, shown)] : []))}</li>`
  return html`<p class="muted">The pictures are the first test images of the two classes.</p>
<ul class="cards">${pairs.map(card)}</ul>`
}

function mixedHtml({ there, back, n, otherN }: Mixed, run: number, shown: Shown): Html {
  const name = shown.names.length > 1 ? html`${runHtml(shown, run)}: ` : null
  const words = `left taken for right ${there} of ${n}, right for left ${back} of ${otherN}`
  return html`<p class="muted">${name}${words}</p>`
}

export function mistakesHtml(
  runs: readonly RunRecords[],
  most: number,
  examples: Examples,
  shown: Shown,
): Html {
  if (runs.every(({ mistakes }) => !mistakes)) {
    return html`<p>No run has a list of mistakes (report/mistakes.json).</p>`
  }
  const parts = runs.map(({ mistakes }, run) => {
    if (!mistakes) return html``
    const title = shown.names.length > 1 ? html`<h3>${runHtml(shown, run)}</h3>` : null
    if (mistakes.length === 0) {
      return html`${title}<p>No test image was taken for another class.</p>`
    }
    const cards = mistakes.slice(0, most).map((mistake) => mistakeHtml(mistake, examples, shown))
    return html`${title}<ul class="cards">${cards}</ul>`
  })
  return html`<p class="muted">On the left the image, on the right one of the class that it was taken
for. In brackets are the probabilities of the two classes.</p>${parts}`
}

function mistakeHtml(mistake: Mistake, examples: Examples, shown: Shown): Html {
  const { path, label, predicted, probability, labelProbability } = mistake
  const [example] = examples(predicted)
  const other = example ? pictureHtml(shown, example, `An image of ${predicted}`) : null
  const share = (value: number) => html`<span class="muted share">(${percentText(value)})</span>`
  return html`<li><div class="two">
<div>${pictureHtml(shown, path, `An image of ${label}`)}
<p>${nameHtml(label)} ${share(labelProbability)}</p></div>
<div>${other}<p>taken for ${nameHtml(predicted)} ${share(probability)}</p></div>
</div><p class="path" title="${path}"><bdi>${path.split('/').slice(-2).join('/')}</bdi></p></li>`
}
