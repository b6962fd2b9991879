// A picture of what the network sees: the tiles of one epoch of a split, each as the loader and the
// native pixel path make it, with its class's name below.

import { checkArgument } from '../arguments.js'
import { native } from '../binding.js'
import { half } from '../config/normalisation.js'
import { badImages, type OnBadImage } from '../data/bad-images.js'
import type { Batch, Dataset, Split } from '../data/batch.js'
import { datasetShape } from '../data/datasets/lists/check.js'
import { encodePng, type Image, renderSvg } from '../data/images.js'
import { type LoaderOptions, loader } from '../data/loader.js'
import { sheetConfigShape, sheetShape } from '../data/shapes.js'
import { positionsOf } from '../data/validation.js'
import { McLossError } from '../errors.js'
import type { WarningEvent } from '../events.js'

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
const FONT = 12
const LINE = 15
const LABEL = 2 * LINE + 4
const WIDE = /[\u1100-\uffdc]|[^\0-\uffff]/u // drawn about as wide as it is high

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
    const images = await seen(batch, config.data)
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

/** As many columns as make the sheet about 3 wide to 2 high. */
function layoutOf(count: number, height: number, width: number): Layout {
  const scale = Math.max(1, Math.floor(LEAST_TILE / Math.max(height, width)))
  const [tileHeight, tileWidth] = [height * scale, width * scale]
  const columns = Math.max(1, Math.ceil(Math.sqrt((1.5 * count * tileHeight) / tileWidth)))
  const used = Math.min(columns, count)
  const rows = Math.ceil(count / used)
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

/** The network's input of a batch, the normalisation undone: u8 RGB images. */
async function seen(batch: Batch, data: SheetConfig['data']): Promise<Image[]> {
  const { crop, mean = half, std = half } = data
  const [height, width] = crop
  const area = height * width
  const planes = await native().gatherAugment(batch, {
    outHeight: height,
    outWidth: width,
    mean: [...mean],
    std: [...std],
  })
  return Array.from({ length: batch.count }, (_, row) => {
    const pixels = new Uint8Array(area * 3)
    for (let channel = 0; channel < 3; channel++) {
      const [offset, factor] = [mean[channel] as number, std[channel] as number]
      const plane = (row * 3 + channel) * area
      for (let at = 0; at < area; at++) {
        const level = ((planes[plane + at] as number) * factor + offset) * 255
        pixels[at * 3 + channel] = Math.round(Math.min(Math.max(level, 0), 255))
      }
    }
    return { pixels, width, height }
  })
}

/** Every pixel of the image as scale x scale pixels of the sheet. */
function paste(sheet: Image, image: Image, { left, top }: Tile, scale: number): void {
  for (let y = 0; y < image.height * scale; y++) {
    for (let x = 0; x < image.width * scale; x++) {
      const from = (Math.floor(y / scale) * image.width + Math.floor(x / scale)) * 3
      sheet.pixels.set(
        image.pixels.subarray(from, from + 3),
        ((top + y) * sheet.width + left + x) * 3,
      )
    }
  }
}

/** The sheet without its tiles: names only, each clipped to its tile's width. */
function labelsSvg(layout: Layout, tiles: Tile[]): string {
  const { width, height, tileWidth, tileHeight } = layout
  const label = ({ left, top, class: name }: Tile) => {
    const lines = linesOf(name, tileWidth / FONT).map(
      (line, at) => `<text x="${tileWidth / 2}" y="${(at + 1) * LINE}">${escapeXml(line)}</text>`,
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

const widthOf = (letters: string[]) =>
  letters.reduce((sum, letter) => sum + (WIDE.test(letter) ? 1 : 0.6), 0)

/** A name in one line or two of about `ems` of width, a letter being 0.6 wide. */
function linesOf(name: string, ems: number): string[] {
  const letters = [...name]
  if (widthOf(letters) <= ems) return [name]
  let most = letters.length
  while (most > 1 && widthOf(letters.slice(0, most)) > ems) most--
  const atWord = letters.slice(0, most).findLastIndex((letter) => /[-_ ./]/.test(letter)) + 1
  const head = atWord > most / 2 ? atWord : most
  return [letters.slice(0, head).join(''), shortened(letters.slice(head), ems)]
}

/** Cut in the middle where it is too wide: both ends tell. */
function shortened(letters: string[], ems: number): string {
  const cut = (kept: number) =>
    kept >= letters.length
      ? letters
      : [
          ...letters.slice(0, Math.ceil(kept / 2)),
          '…',
          ...letters.slice(letters.length - Math.floor(kept / 2)),
        ]
  let kept = letters.length
  while (kept > 0 && widthOf(cut(kept)) > ems) kept--
  return cut(kept).join('')
}

/** A class's name is text, whatever it holds; what XML has no place for becomes a sign for it. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
