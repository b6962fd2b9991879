// A picture of what the network sees: the tiles of one epoch of a split, each as the loader and the
// native pixel path make it, with its class's name below.

import { checkArgument } from '../arguments.js'
import { badImages, type OnBadImage } from '../data/bad-images.js'
import type { Dataset, Split } from '../data/batch.js'
import { datasetShape } from '../data/datasets/lists/check.js'
import { encodePng, type Image, renderSvg } from '../data/images.js'
import { type LoaderOptions, loader } from '../data/loader.js'
import { sheetConfigShape, sheetShape } from '../data/shapes.js'
import { positionsOf } from '../data/validation.js'
import { McLossError } from '../errors.js'
import type { WarningEvent } from '../events.js'
import { FONT, LINE, linesOf, xmlText } from './labels.js'
import { paste } from './paste.js'
import { seenPictures } from './seen.js'

export interface ContactSheetOptions {
  split: Split
  /** From 0. */
  epoch: number
  /** Tiles, >= 1; a shorter split gives fewer. */
  count: number
  signal?: AbortSignal | undefined
  onEvent?: ((event: WarningEvent) => void) | undefined
}

/** What the sheet needs of a run's configuration; a Config is one. */
export interface SheetConfig extends LoaderOptions {
  data: LoaderOptions['data'] & {
    /** Default 0.5: what they are does not show. */
    mean?: readonly number[] | undefined
    std?: readonly number[] | undefined
    /** Default error. */
    onBadImage?: OnBadImage
  }
}

export interface ContactSheet {
  /** The file's bytes. */
  png: Buffer
  /** Pixels. */
  width: number
  height: number
  /** Sheet pixels a side of each pixel of a tile: small crops are shown larger. */
  scale: number
  tiles: Tile[]
}

export interface Tile {
  /** The sample's position in its split, and its class. */
  sample: number
  class: string
  /** The corner of its pixels in the sheet. */
  left: number
  top: number
}

const MAX_PIXELS = 50_000_000 // of a sheet: what the product itself can open again
const BATCH = 8
const LEAST_TILE = 128 // pixels: room for a name
const GAP = 10
const LABEL = 2 * LINE + 4

/**
 * The first `count` samples of an epoch in the order the network gets them, as a grid in a PNG: real
 * windows, flips and pixels, the normalisation undone and rounded to u8.
 *
 * @throws McLossError E_ARGUMENT for a count that is no positive integer or a sheet of more than 50
 * megapixels; E_CONFIG, E_DATA, E_IMAGE, E_ABORTED as the loader; E_NATIVE_LOAD.
 */
export async function contactSheet(
  dataset: Dataset,
  config: SheetConfig,
  options: ContactSheetOptions,
): Promise<ContactSheet> {
  checkArgument('contactSheet', 'dataset', datasetShape, dataset)
  checkArgument('contactSheet', 'config', sheetConfigShape, config)
  checkArgument('contactSheet', 'options', sheetShape, options)
  const count = Math.min(options.count, positionsOf(dataset, config, options.split).length)
  const [tileHeight, tileWidth] = config.data.crop
  const layout = layoutOf(count, tileHeight, tileWidth)
  checkLayout(options.count, layout)
  const bad = badImages(config.data.onBadImage ?? 'error', dataset[options.split], (message) =>
    options.onEvent?.({ type: 'warning', message }),
  )
  const batches = loader(
    dataset,
    {
      seed: config.seed,
      data: { ...config.data, prefetch: 1 },
      optim: { batchSize: Math.min(BATCH, count), dropLast: false },
    },
    { ...options, source: { store: undefined, badImages: bad } },
  )
  const shown: { image: Image; sample: number; class: string }[] = []
  for await (const batch of batches) {
    const images = await seenPictures(batch, config.data)
    for (const [row, image] of images.entries()) {
      const name = dataset.classes[batch.labels[row] as number] as string
      if (shown.length < count) {
        shown.push({ image, sample: batch.samples[row] as number, class: name })
      }
    }
    batch.release()
    if (shown.length === count) break
  }
  const tiles = shown.map(({ sample, class: name }, index) => ({
    sample,
    class: name,
    ...layout.place(index),
  }))
  const sheet = await renderSvg(labelsSvg(layout, tiles))
  for (const [index, { image }] of shown.entries()) {
    paste(sheet, image, tiles[index] as Tile, layout.scale)
  }
  const { width, height, scale } = layout
  return { png: await encodePng(sheet), width, height, scale, tiles }
}

interface Layout {
  width: number
  height: number
  scale: number
  /** Of a tile in the sheet, pixels. */
  tileWidth: number
  tileHeight: number
  place(index: number): { left: number; top: number }
}

/** As many columns as make the sheet about 3 wide to 2 high, or a few less. */
function layoutOf(count: number, height: number, width: number): Layout {
  const scale = Math.ceil(LEAST_TILE / Math.max(height, width))
  const [tileHeight, tileWidth] = [height * scale, width * scale]
  const columns = Math.max(1, Math.ceil(Math.sqrt((1.5 * count * tileHeight) / tileWidth)))
  const rows = Math.ceil(count / columns)
  const used = Math.ceil(count / rows) // so that the last row is as full as it can be
  return {
    width: GAP + used * (tileWidth + GAP),
    height: GAP + rows * (tileHeight + LABEL + GAP),
    scale,
    tileWidth,
    tileHeight,
    place: (index) => ({
      left: GAP + (index % used) * (tileWidth + GAP),
      top: GAP + Math.floor(index / used) * (tileHeight + LABEL + GAP),
    }),
  }
}

function checkLayout(count: number, { width, height }: Layout): void {
  const isCount = Number.isInteger(count) && count > 0
  if (isCount && !(width * height > MAX_PIXELS)) return
  throw new McLossError(
    'E_ARGUMENT',
    isCount
      ? `contact sheet: expected at most 50 megapixels but ${count} tiles make a sheet of ` +
          `${width}x${height}. Ask for fewer.`
      : `contact sheet: expected count to be a positive integer but received ${count}.`,
  )
}

/** The sheet without its tiles: names only, each clipped to its tile's width. */
function labelsSvg(layout: Layout, tiles: Tile[]): string {
  const { width, height, tileWidth, tileHeight } = layout
  const label = ({ left, top, class: name }: Tile) => {
    const lines = linesOf(name, tileWidth / FONT).map(
      (line, at) => `<text x="${tileWidth / 2}" y="${(at + 1) * LINE}">${xmlText(line)}</text>`,
    )
    const place = `x="${left}" y="${top + tileHeight}" width="${tileWidth}" height="${LABEL}"`
    return `<svg ${place}>${lines.join('')}</svg>`
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<rect width="100%" height="100%" fill="#fff"/>` +
    `<g font-family="DejaVu Sans, sans-serif" font-size="${FONT}" text-anchor="middle" ` +
    `fill="#222">${tiles.map(label).join('')}</g></svg>`
  )
}
