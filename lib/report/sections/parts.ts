// What sections of the page have in common: tables, runs' names, pictures.

import { type Html, html, nameHtml } from '../../html.js'
import type { Thumbnail } from '../thumbnails.js'

/** Of files, as the page can hold them. */
export interface Pictures {
  /** Sheets of channel maps. */
  maps(path: string): Thumbnail | undefined
  /** All others. */
  picture(path: string): Thumbnail | undefined
}

export interface Shown extends Pictures {
  /** Names of all runs of the page, in order. */
  names: readonly string[]
}

/** With the colour of its curves, where the page has several. */
export function runHtml({ names }: Pick<Shown, 'names'>, run: number): Html {
  const name = nameHtml(names[run] as string)
  return names.length > 1 ? html`<span class="run run-${run % 8}">${name}</span>` : name
}

export interface Column {
  head: Html | string
  isNumber?: boolean
}

export interface Cell {
  content: Html | string
  /** What a column of numbers is sorted by; null: no value. */
  value?: number | null
}

/** Rows of cells, the first of which names the row. */
export function tableHtml(caption: string, columns: Column[], rows: Cell[][]): Html {
  const kind = (at: number) => (columns[at]?.isNumber ? 'number' : '')
  const cell = ({ content, value }: Cell, at: number) =>
    value === undefined
      ? html`<td class="${kind(at)}">${content}</td>`
      : html`<td class="${kind(at)}" data-value="${value}">${content}</td>`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
<table class="sortable">
<caption class="hidden">${caption}</caption>
<thead><tr>${columns.map(({ head }, at) => html`<th scope="col" class="${kind(at)}">${head}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...others]) =>
      html`<tr><th scope="row">${first?.content}</th>${others.map((one, at) =>
        cell(one, at + 1),
      )}</tr>`,
  )}</tbody>
</table>
</div>`
}

/** A picture that says what it shows, or a place that says that it is not there. */
export function pictureHtml(
  { picture }: Pick<Shown, 'picture'>,
  path: string,
  words: string,
): Html {
  const found = picture(path)
  if (!found) return html`<span class="no-thumb">no picture</span>`
  const { address, width, height } = found
  return html`<img class="thumb" src="${address}" width="${width}" height="${height}" alt="${words}">`
}
