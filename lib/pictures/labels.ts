// Text in a picture: names cut to a width, and as the characters that XML has for them.

import { escaped } from '../html.js'

/** Of labels, pixels. */
export const FONT = 12
export const LINE = 15
const WIDE = /[\u1100-\uffdc]|[^\0-\uffff]/u // drawn about as wide as it is high

const widthOf = (letters: string[]) =>
  letters.reduce((sum, letter) => sum + (WIDE.test(letter) ? 1 : 0.6), 0)

/** A name in one line or two of about `ems` of width, a letter being 0.6 wide. */
export function linesOf(name: string, ems: number): string[] {
  const letters = [...name]
  if (widthOf(letters) <= ems) return [name]
  let most = letters.length
  while (most > 1 && widthOf(letters.slice(0, most)) > ems) most--
  const atWord = letters.slice(0, most).findLastIndex((letter) => /[-_ ./]/.test(letter)) + 1
  const head = atWord > most / 2 ? atWord : most
  return [letters.slice(0, head).join(''), shortened(letters.slice(head).join(''), ems)]
}

/** Cut in the middle where it is too wide: both ends tell. */
export function shortened(name: string, ems: number): string {
  const letters = [...name]
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

/** Text of XML, whatever it holds; what XML has no place for becomes a sign for it. */
export function xmlText(text: string): string {
  return escaped(text.replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd'))
}
