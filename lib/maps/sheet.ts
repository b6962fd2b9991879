// Pictures with maps of their classes as one PNG: a line per class, with the picture, the maps of the class's
// channels and their maximum, and the scale of the colours below.

import { encodePng, type Image, renderSvg } from '../data/images.js'
import { FONT, LINE, shortened, xmlText } from '../pictures/labels.js'
import { fitted, paste } from '../pictures/paste.js'
import type { ClassMaps } from './class-maps.js'
import { heatOver, INFERNO } from './heat.js'

/** One line of a sheet. */
export interface SheetLine {
  /** As the network sees it. */
  picture: Image
  title: string
  maps: ClassMaps
}

const TILE = 160 // pixels of the longer side, about
const MOST_CHANNELS = 8 // of a class, the first ones
const GAP = 10
const TITLE = LINE + 6
const CAPTION = LINE + 4
const LEGEND = 3 * LINE

/** PNG bytes. @throws McLossError E_SETUP where sharp does not load. */
export async function mapsSheet(lines: readonly SheetLine[]): Promise<Buffer> {
  const rows = await Promise.all(lines.map(tilesOf))
  const [tileWidth, tileHeight] = (['width', 'height'] as const).map((side) =>
    Math.max(...rows.flatMap(({ tiles }) => tiles.map(({ image }) => image[side]))),
  ) as [number, number]
  const columns = Math.max(...rows.map(({ tiles }) => tiles.length))
  const width = GAP + columns * (tileWidth + GAP)
  const rowHeight = TITLE + tileHeight + CAPTION + GAP
  const height = GAP + rows.length * rowHeight + LEGEND
  const topOf = (row: number) => GAP + row * rowHeight
  const leftOf = (column: number) => GAP + column * (tileWidth + GAP)
  const texts = rows.flatMap(({ title, tiles }, row) => [
    words(GAP, topOf(row) + FONT, shortened(title, (width - 2 * GAP) / FONT), 'font-weight="bold"'),
    ...tiles.map(({ caption }, column) =>
      words(leftOf(column), topOf(row) + TITLE + tileHeight + FONT + 2, caption),
    ),
  ])
  const sheet = await renderSvg(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
      `<rect width="100%" height="100%" fill="#fff"/>` +
      `<g font-family="DejaVu Sans, sans-serif" font-size="${FONT}" fill="#222">${texts.join('')}` +
      `${legendSvg(height - LEGEND)}</g></svg>`,
  )
  for (const [row, { tiles }] of rows.entries()) {
    for (const [column, { image }] of tiles.entries()) {
      paste(sheet, image, { left: leftOf(column), top: topOf(row) + TITLE })
    }
  }
  return encodePng(sheet)
}

async function tilesOf({ picture, title, maps: found }: SheetLine) {
  const image = await fitted(picture, TILE, TILE)
  const { maps, ccmp, group } = found
  const [channels, height, width] = found.shape
  const most = Math.max(...ccmp)
  const over = (values: Float32Array) => heatOver(image, values, [height, width], most)
  const shown = Math.min(channels, MOST_CHANNELS)
  const area = height * width
  const tiles = [
    { image, caption: 'picture' },
    { image: over(ccmp), caption: 'CCMP' },
    ...Array.from({ length: shown }, (_, at) => ({
      image: over(maps.subarray(at * area, (at + 1) * area)),
      caption: `channel ${group.begin + at}`,
    })),
  ]
  const left = channels > shown ? `; ${shown} of ${channels} channels` : ''
  return { title: title + left, tiles }
}

function legendSvg(top: number): string {
  const stops = INFERNO.map(
    (hex, at) => `<stop offset="${at / (INFERNO.length - 1)}" stop-color="#${hex}"/>`,
  )
  return (
    `<linearGradient id="heat">${stops.join('')}</linearGradient>` +
    `<rect x="${GAP + 12}" y="${top + 8}" width="120" height="${FONT}" fill="url(#heat)"/>` +
    words(GAP, top + 8 + FONT - 1, '0') +
    words(GAP + 138, top + 8 + FONT - 1, "largest value of the line's class in this picture")
  )
}

function words(x: number, y: number, text: string, attributes = ''): string {
  return `<text x="${x}" y="${y}" ${attributes}>${xmlText(text)}</text>`
}
