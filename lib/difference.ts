// How two texts or two lists of texts differ, so that it can be seen where it cannot be read: a blank,
// another Unicode form, a letter that looks like another.

/**
 * The first difference of two lists: its position and both texts, e.g. "the first difference is number
 * 6 (from 0): 'owl' against 'owl ' (character 3: the end against U+0020)". Undefined for equal ones.
 */
export function firstDifference(
  one: readonly string[],
  other: readonly string[],
): string | undefined {
  const length = Math.max(one.length, other.length)
  for (let at = 0; at < length; at++) {
    const [a, b] = [one[at], other[at]]
    if (a === b) continue
    const where = a !== undefined && b !== undefined ? ` (${textDifference(a, b)})` : ''
    return `the first difference is number ${at} (from 0): ${shown(a)} against ${shown(b)}${where}`
  }
  return undefined
}

/** Where two different texts part, by code points. */
export function textDifference(one: string, other: string): string {
  const [a, b] = [[...one], [...other]]
  const at = a.findIndex((letter, index) => letter !== b[index])
  const place = at < 0 ? a.length : at
  const same =
    one.normalize() === other.normalize() ? ', the same text in another Unicode form' : ''
  return `character ${place}: ${codePoint(a[place])} against ${codePoint(b[place])}${same}`
}

/**
 * Names the first letter that is not of ASCII, and so may look like another, or is a blank at an end.
 * Empty if there is none.
 */
export function oddLetters(text: string): string {
  const letters = [...text]
  const isAtEnd = (at: number) => at === 0 || at === letters.length - 1
  const at = letters.findIndex(
    (letter, index) => !(isAtEnd(index) ? /[!-~]/ : /[ -~]/).test(letter),
  )
  return at < 0 ? '' : `; character ${at} is ${codePoint(letters[at])}`
}

function codePoint(letter: string | undefined): string {
  if (letter === undefined) return 'the end'
  return `U+${(letter.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')}`
}

/** In quotes, what would act on a terminal or not be seen there as its code point. */
function shown(text: string | undefined): string {
  if (text === undefined) return 'nothing'
  return `'${text.replace(/(?! )[\p{C}\p{Z}]/gu, (letter) => `<${codePoint(letter)}>`)}'`
}
