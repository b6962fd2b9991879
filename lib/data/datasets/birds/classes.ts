// The kinds of drawn birds. Four families share a body plan and each has its body colours; within a
// family kinds differ only in small parts: crown, wing bars, beak, tail band, eye ring. What class
// i looks like never depends on a seed or on the number of classes.

import { McLossError } from '../../../errors.js'
import { Purpose, shuffle } from '../../../random.js'

export type Colour = readonly [number, number, number]

const RED: Colour = [200, 60, 50]
const BLUE: Colour = [60, 110, 200]
const YELLOW: Colour = [230, 190, 60]
const WHITE: Colour = [240, 240, 235]
const BLACK: Colour = [40, 40, 45]
const BROWN: Colour = [160, 110, 70]

const FAMILIES = [
  { name: 'white', body: WHITE, belly: BLUE },
  { name: 'black', body: BLACK, belly: WHITE },
  { name: 'red', body: RED, belly: BROWN },
  { name: 'blue', body: BLUE, belly: YELLOW },
]
const CROWNS = [
  { name: 'plain', colour: undefined },
  { name: 'red', colour: RED },
  { name: 'yellow', colour: YELLOW },
  { name: 'blue', colour: BLUE },
]
const BARS = ['no', 'one', 'two']
export const MOST_WING_BARS = BARS.length - 1
const BEAKS = [YELLOW, BLACK, RED, BROWN]
const TAIL_BANDS = [undefined, WHITE, BLACK]

/** One kind of bird. */
export interface Bird {
  name: string
  body: Colour
  belly: Colour
  /** Undefined: as the body. */
  crown: Colour | undefined
  /** 0..2 */
  wingBars: number
  beak: Colour
  tailBand: Colour | undefined
  eyeRing: boolean
}

const birds = interleave(FAMILIES.map(kindsOf))

/** How many kinds there are. */
export const MAX_BIRD_CLASSES = birds.length

/**
 * The kind of class `cls`.
 *
 * @throws McLossError E_ARGUMENT unless 0 <= cls < MAX_BIRD_CLASSES.
 */
export function birdClass(cls: number): Bird {
  const bird = birds[cls]
  if (bird) return bird
  throw new McLossError(
    'E_ARGUMENT',
    `drawn-birds: expected a class 0..${MAX_BIRD_CLASSES - 1} but received ${cls}.`,
  )
}

/** Names like '07-blue-red-crown-two-bars', whose order is the classes' order. */
export function birdClassNames(classes: number, firstClass = 0): string[] {
  const digits = Math.max(2, String(firstClass + classes - 1).length)
  return Array.from({ length: classes }, (_, label) => {
    const cls = firstClass + label
    return `${String(cls).padStart(digits, '0')}-${birdClass(cls).name}`
  })
}

/** A family's kinds in a fixed random order, without the marks that its body colour would hide. */
function kindsOf(family: (typeof FAMILIES)[number], index: number): Bird[] {
  const kinds: Bird[] = []
  for (const crown of CROWNS.filter(({ colour }) => colour !== family.body)) {
    for (const [wingBars, bars] of BARS.entries()) {
      for (const beak of BEAKS) {
        for (const tailBand of TAIL_BANDS.filter((colour) => colour !== family.body)) {
          for (const eyeRing of [false, true]) {
            const name = `${family.name}-${crown.name}-crown-${bars}-bars`
            const { body, belly } = family
            kinds.push({
              name,
              body,
              belly,
              crown: crown.colour,
              wingBars,
              beak,
              tailBand,
              eyeRing,
            })
          }
        }
      }
    }
  }
  // Steps no image uses: images count theirs from 0.
  const order = shuffle(kinds.length, 0, 0xffffffff - index, Purpose.drawing)
  return Array.from(order, (position) => kinds[position] as Bird)
}

/** One of each family in turn, as far as every family reaches. */
function interleave(families: Bird[][]): Bird[] {
  const length = Math.min(...families.map((kinds) => kinds.length))
  return Array.from({ length }, (_, index) => families.map((kinds) => kinds[index] as Bird)).flat()
}
