// index.html: pictures with the maps of two classes each. It asks for nothing outside its folder.

import { basename } from 'node:path'
import { Html, html, nameHtml } from '../html.js'
import type { ConfusedPair } from './confused.js'
import type { Explained, ExplainedClass } from './explained.js'
import { pageStyle } from './page-style.js'

export interface PageContent {
  weights: string
  pictures: readonly Explained[]
  pairs: readonly ConfusedPair[]
  confused?: boolean
}

export function pageOf(content: PageContent): string {
  const { weights, pictures } = content
  const policy = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Channel maps</title>
<style>${new Html(pageStyle)}</style>
</head>
<body>
<main>
<h1>Channel maps</h1>
<p>Each class owns a group of channels in the last feature map of the network. A map shows where one
of its channels answers to the picture. CCMP is the largest value of the group's channels at each
position. Each picture has the maps of the class that the model predicts and of the runner-up.</p>
<p>Weights: <code>${nameHtml(weights)}</code></p>
${legend}
${pictures.map(pictureSection)}
${content.confused ? confusedSection(content.pairs) : null}
</main>
</body>
</html>
`
  return page.markup
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`

const legend = html`<div class="legend">
<span>0</span>
<span class="scale" role="img" aria-label="colours from black over red to yellow"></span>
<span>largest value of the class in this picture</span>
</div>
<p class="note">The colours lie over the picture in grey, as the network sees it. Values between the
cells of a map are interpolated bilinearly. h goes from 1, if all channels of the class answer to the
same places, to the number of channels. Overlap goes from 0, if the maps nowhere meet, to 1, if they
are alike.</p>`

function pictureSection({ path, file, size, classes, error }: Explained): Html {
  const where = path === basename(path) ? null : html`<p class="facts">${nameHtml(path)}</p>`
  const heading = html`<h2>${nameHtml(basename(path))}</h2>${where}`
  if (error) return html`<section>${heading}<p class="error">${error.message}</p></section>`
  const picture = figure(file as string, 'picture', `picture ${basename(path)}`, size)
  return html`<section>
${heading}
<div class="explained">
<div class="picture">${picture}</div>
<div>${classes.map((of) => classBlock(of, size))}</div>
</div>
</section>`
}

function classBlock(of: ExplainedClass, size: Explained['size']): Html {
  const { role, group, shape, h, overlap, files } = of
  const title = role === 'own' ? 'Predicted' : 'Runner-up'
  const last = group.end - 1
  const channels = group.begin === last ? `channel ${last}` : `channels ${group.begin} to ${last}`
  const facts = [
    ...[percent(of.probability), channels, `h ${h.toFixed(2)} of ${shape[0]}`],
    ...(overlap === null ? [] : [`overlap ${overlap.toFixed(2)}`]),
  ]
  const alt = (what: string) => `${what} of class ${of.class}, as heat over the picture`
  const maps = files.channels.map((file, at) => {
    const words = `channel ${group.begin + at}`
    return figure(file, words, alt(words), size)
  })
  return html`<h3>${title}: ${nameHtml(of.class)}</h3>
<p class="facts">${facts.join(' · ')}</p>
<div class="maps">${figure(files.ccmp, 'CCMP', alt('CCMP'), size)}${maps}</div>`
}

function figure(file: string, caption: string, alt: string, size: Explained['size']): Html {
  const [height, width] = size as [number, number]
  return html`<figure><img src="${file}" alt="${alt}" width="${width}" height="${height}" loading="lazy">
<figcaption>${caption}</figcaption></figure>`
}

function confusedSection(pairs: readonly ConfusedPair[]): Html {
  if (pairs.length === 0) {
    return html`<section><h2>Most confused classes</h2><p>No test image was mistaken.</p></section>`
  }
  const rows = pairs.map(
    ({ classes: [one, other], counts }) =>
      html`<tr><td>${nameHtml(one)}</td><td>${nameHtml(other)}</td><td>${counts[0]}</td><td>${counts[1]}</td></tr>`,
  )
  return html`<section>
<h2>Most confused classes</h2>
<p>Of the test split of the model's data. The sheet shows, for each pair, the image of the first
class that was most surely taken for the second, with the maps of both.</p>
<div class="wide" tabindex="0" role="region" aria-label="most confused classes">
<table><thead><tr><th>class</th><th>taken for</th><th>times</th><th>the other way round</th></tr></thead>
<tbody>${rows}</tbody></table>
</div>
<div class="wide" tabindex="0" role="region" aria-label="sheet of the most confused classes">
<img src="confused.png" alt="maps of the most confused classes, two lines for each pair">
</div>
</section>`
}
