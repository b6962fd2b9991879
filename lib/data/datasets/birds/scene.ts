// A drawn bird in its scene as SVG: background, clutter, stalks, the bird in a random pose, twigs
// in front of it. Units are those of a canvas of 192 x 192.

import { type Bird, type Colour, MOST_WING_BARS } from './classes.js'

const CANVAS = 192

/** Where a scene's random values come from. */
export interface Random {
  /** An integer least..end-1. */
  int(least: number, end: number): number
  /** A number in [least, end). */
  real(least: number, end: number): number
}

/** The layers of a picture from back to front, as SVG elements. */
export interface Scene {
  behind: string
  bird: string
  before: string
  /** The places of the parts by which kinds of a family differ, whether or not this kind has them. */
  parts: string
}

/** A square SVG document of `size` pixels. */
export function svgDocument(size: number, elements: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" ` +
    `viewBox="0 0 ${CANVAS} ${CANVAS}">${elements}</svg>`
  )
}

export function birdScene(kind: Bird, { int, real }: Random): Scene {
  const at = () => int(0, CANVAS)
  const anyColour = (least: number, end: number): Colour => [
    int(least, end),
    int(least, end),
    int(least, end),
  ]
  const vary = ([r, g, b]: Colour, by: number): Colour => [
    r + int(-by, by),
    g + int(-by, by),
    b + int(-by, by),
  ]
  const ground = anyColour(60, 200)
  const clutter = times(14, () => {
    const colour = vary(ground, 50)
    const [x, y, width, height] = [at(), at(), int(10, 70), int(8, 50)]
    return int(0, 2) === 1
      ? ellipse(x + width / 2, y + height / 2, width / 2, height / 2, colour)
      : `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${rgb(colour)}"/>`
  })
  const stalks = times(3, () => line(at(), 0, at(), CANVAS, anyColour(40, 120), int(2, 7)))
  const legs = [int(-4, 5), int(-4, 5)] as const
  const parts = birdParts(kind, (colour) => vary(colour, 18), legs)
  const mirror = int(0, 2) === 1 ? `translate(${CANVAS} 0) scale(-1 1)` : ''
  const angle = real(-22, 22)
  const scale = real(0.7, 1.05)
  const place = () => int(-10, Math.max(-9, Math.floor(CANVAS * (1 - scale)) + 10))
  const pose = `translate(${place()} ${place()}) scale(${scale}) rotate(${angle} 96 96) ${mirror}`
  const twig = () => line(at(), at(), at(), at(), anyColour(30, 110), int(2, 6))
  return {
    behind: `<rect width="${CANVAS}" height="${CANVAS}" fill="${rgb(ground)}"/>${clutter}${stalks}`,
    bird: `<g transform="${pose}">${parts}</g>`,
    before: times(int(0, 3), twig),
    parts: `<g transform="${pose}">${tellingParts()}</g>`,
  }
}

const ANY: Colour = [0, 0, 0] // of a shape whose place alone counts

// The parts by which kinds of a family differ.
const tailBand = (colour: Colour) => polygon('16,129.5 4,135.5 10,149.5 22,144.5', colour)
const wingBar = (bar: number, colour: Colour) =>
  line(62 + 14 * bar, 96.5, 56 + 14 * bar, 118.5, colour, 3)
const crown = (colour: Colour) =>
  `<path d="M132 72.5L110.3 69A22 20 0 0 1 151.1 62.5Z" fill="${rgb(colour)}"/>`
const beak = (colour: Colour) => polygon('151,68.5 170,75.5 151,80.5', colour)
const eyeRing = (colour: Colour) => ellipse(140, 70.5, 6, 6, colour)

function tellingParts(): string {
  const bars = times(MOST_WING_BARS, (bar) => wingBar(bar, ANY))
  return [tailBand, crown, beak, eyeRing].map((part) => part(ANY)).join('') + bars
}

/** The body plan, facing right; `vary` gives each part its own shade, `legs` the feet's places. */
function birdParts(
  kind: Bird,
  vary: (colour: Colour) => Colour,
  legs: readonly [number, number],
): string {
  const [r, g, b] = kind.body
  const wing: Colour = [r * 0.7, g * 0.7, b * 0.7]
  const leg = (x: number, foot: number) => line(x, 141.5, x + foot, 159.5, [90, 70, 50], 3)
  return [
    polygon('46,112.5 4,135.5 10,149.5 56,129.5', vary(kind.body)),
    kind.tailBand && tailBand(vary(kind.tailBand)),
    ellipse(88, 110.5, 48, 33, vary(kind.body)),
    ellipse(98, 124.5, 32, 17, vary(kind.belly)),
    polygon('56,93.5 110,95.5 88,123.5 44,119.5', vary(wing)),
    times(kind.wingBars, (bar) => wingBar(bar, vary([245, 245, 245]))),
    ellipse(132, 73.5, 22, 20, vary(kind.body)),
    kind.crown && crown(vary(kind.crown)),
    beak(vary(kind.beak)),
    kind.eyeRing && eyeRing([250, 250, 250]),
    ellipse(140, 70.5, 3, 3, [10, 10, 10]),
    leg(88, legs[0]),
    leg(102, legs[1]),
  ]
    .filter(Boolean)
    .join('')
}

function times(count: number, element: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => element(index)).join('')
}

function rgb(colour: Colour): string {
  return `rgb(${colour.map((value) => Math.max(0, Math.min(255, Math.round(value))))})`
}

function line(x1: number, y1: number, x2: number, y2: number, colour: Colour, width: number) {
  const stroke = `stroke="${rgb(colour)}" stroke-width="${width}"`
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${stroke}/>`
}

function ellipse(cx: number, cy: number, rx: number, ry: number, colour: Colour) {
  return `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${rgb(colour)}"/>`
}

function polygon(points: string, colour: Colour) {
  return `<polygon points="${points}" fill="${rgb(colour)}"/>`
}
