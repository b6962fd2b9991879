// The channel maps that a run wrote while it was trained.

import { basename } from 'node:path'
import { type Html, html } from '../../html.js'
import type { RunRecords } from '../run.js'
import { runHtml, type Shown } from './parts.js'

/** The first and the last of a run, and others evenly between; at most `most`. */
function chosenMaps(maps: readonly string[], most: number): string[] {
  if (maps.length <= most) return [...maps]
  const step = (maps.length - 1) / (most - 1)
  return Array.from({ length: most }, (_, at) => maps[Math.round(at * step)] as string)
}

export function mapsHtml(runs: readonly RunRecords[], most: number, shown: Shown): Html {
  if (runs.every(({ maps }) => maps.length === 0)) {
    return html`<p>No run has channel maps (maps/ in its folder).</p>`
  }
  return html`${runs.map(({ maps }, run) => {
    const chosen = chosenMaps(maps, most)
    const words = `${chosen.length} of ${maps.length} that the run wrote.`
    return html`<h3>${runHtml(shown, run)}</h3><p class="muted">${words}</p>
${chosen.map((path) => mapHtml(path, shown))}`
  })}`
}

function mapHtml(path: string, { maps }: Shown): Html {
  const name = basename(path, '.png')
  const found = maps(path)
  const content = found
    ? html`<img class="map" src="${found.address}" width="${found.width}" height="${found.height}" alt="Channel maps, ${name}">`
    : html`<span class="no-thumb">no picture</span>`
  return html`<figure class="chart"><figcaption>${name}</figcaption>${content}</figure>`
}
