// Differences that cannot be read: the code points by hand.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { firstDifference, textDifference } from '../../lib/difference.js'

const six = ['a', 'b', 'c', 'd', 'e', 'f']

test.each([
  ['another name', 'g', 'h', "'g' against 'h' (character 0: U+0067 against U+0068)"],
  ['a trailing blank', 'owl', 'owl ', "'owl' against 'owl ' (character 3: the end against U+0020)"],
  [
    'another Unicode form',
    'K\u00e4lte',
    'Ka\u0308lte',
    "'K\u00e4lte' against 'Ka\u0308lte' (character 1: U+00E4 against U+0061, the same text in another " +
      'Unicode form)',
  ],
  [
    'a letter of another alphabet',
    'cat',
    'c\u0430t',
    "'cat' against 'c\u0430t' (character 1: U+0061 against U+0430)",
  ],
  [
    'letters that are not seen',
    'o\u200bwl',
    'o\u00a0wl',
    "'o<U+200B>wl' against 'o<U+00A0>wl' (character 1: U+200B against U+00A0)",
  ],
  [
    'a letter beyond 16 bits, one character long',
    '\u{1f989}1',
    '\u{1f989}2',
    "'\u{1f989}1' against '\u{1f989}2' (character 1: U+0031 against U+0032)",
  ],
])('the seventh of seven differs by %s', (_, one, other, expected) => {
  expect(firstDifference([...six, one], [...six, other])).toBe(
    `the first difference is number 6 (from 0): ${expected}`,
  )
})

test('a list that goes on where the other ends', () => {
  const words = (one: string, other: string) =>
    `the first difference is number 6 (from 0): ${one} against ${other}`
  expect(firstDifference(six, [...six, 'g'])).toBe(words('nothing', "'g'"))
  expect(firstDifference([...six, 'g'], six)).toBe(words("'g'", 'nothing'))
  expect(firstDifference(['a\nb'], ['a', 'b'])).toContain("'a<U+000A>b' against 'a'")
})

test('there is a difference exactly where two lists differ', () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'a ', 'ä', 'ä'), { maxLength: 4 })
  fc.assert(
    fc.property(names, names, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other)
      expect(firstDifference(one, other) === undefined).toBe(isSame)
    }),
  )
})

test('the place of a difference is where the texts part', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (head, one, other) => {
      fc.pre(one[0] !== other[0])
      expect(textDifference(`${head}${one}`, `${head}${other}`)).toContain(
        `character ${[...head].length}:`,
      )
    }),
  )
})
