// Channel groups against splitting a list of channels by hand, and the published boundaries. Sizes
// at many classes: test/native/ops/channel_groups_cases.cpp.

import { expect, test } from 'vitest'
import { channelGroups } from '../../../lib/mc-loss.js'

/** Each class in turn takes its rounded-down share of the channels that are left. */
function split(channels: number, classes: number) {
  const left = Array.from({ length: channels }, (_, channel) => channel)
  return Array.from({ length: classes }, (_, index) => {
    const own = left.splice(0, Math.floor(left.length / (classes - index)))
    return { class: index, begin: own[0], end: (own.at(-1) as number) + 1 }
  })
}

test('every small pair, and those of the data sets', () => {
  for (let channels = 1; channels <= 30; channels++) {
    for (let classes = 1; classes <= channels; classes++) {
      expect(channelGroups(channels, classes)).toEqual(split(channels, classes))
    }
  }
  for (const channels of [512, 2048]) {
    for (const classes of [100, 102, 196, 200]) {
      expect(channelGroups(channels, classes)).toEqual(split(channels, classes))
    }
  }
})

test('the published boundaries: CUB and Cars at 2048 channels', () => {
  const cub = channelGroups(2048, 200)
  expect(cub[151]).toEqual({ class: 151, begin: 1510, end: 1520 })
  expect(cub[152]).toEqual({ class: 152, begin: 1520, end: 1531 })
  const cars = channelGroups(2048, 196)
  expect(cars[107]).toEqual({ class: 107, begin: 1070, end: 1080 })
  expect(cars[108]).toEqual({ class: 108, begin: 1080, end: 1091 })
})

test.each<[unknown, unknown, RegExp]>([
  [3, 5, /3 channels for 5 classes/],
  [5, 0, /integers 1.*0/],
  [0, 1, /integers 1.*0/],
  [-1, 1, /integers 1.*-1/],
  [2.5, 1, /integers 1.*2\.5/],
  [Number.NaN, 1, /integers 1.*NaN/],
  [2 ** 40, 1, /1099511627776/],
  ['6', 2, /integers 1/],
  [6, undefined, /integers 1.*undefined/],
])('%s channels for %s classes is refused', (channels, classes, words) => {
  expect(() => channelGroups(channels as number, classes as number)).toThrow(
    expect.objectContaining({ code: 'E_ARGUMENT', message: expect.stringMatching(words) }),
  )
})
