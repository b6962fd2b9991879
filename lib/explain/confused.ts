// The pairs of classes that a model confuses most on its test split, each with a mistake and what the
// channels of both classes see in it.

import { basename } from 'node:path'
import { mapsSheet, type SheetLine } from '../maps/sheet.js'
import type { ChannelGroup } from '../mc-loss.js'
import { answered } from '../predict/inference.js'
import type { Model } from '../predict/model.js'
import type { Picture } from '../predict/pictures.js'
import type { Answer } from '../records/answers.js'
import { seeEach } from './see.js'

const MOST_PAIRS = 8

export interface ConfusedPair {
  /** Their names; the first is the more often taken for the other. */
  classes: [string, string]
  labels: [number, number]
  /** How many test images of the first were taken for the second, and the other way round. */
  counts: [number, number]
  /** The test image of the first that was most surely taken for the second. */
  path: string
}

/** Those with most mistakes, both ways together; of alike pairs the first. */
export async function confusedPairs(model: Model): Promise<ConfusedPair[]> {
  const { answers } = await answered('explain', model, {})
  return pairsOf(answers.all, model.classes)
}

export function pairsOf(answers: readonly Answer[], classes: readonly string[]): ConfusedPair[] {
  const mistakes = new Map<string, Answer[]>()
  for (const answer of answers) {
    const { label, predicted } = answer
    if (label === predicted) continue
    const key = `${label} ${predicted}`
    mistakes.set(key, [...(mistakes.get(key) ?? []), answer])
  }
  const between = (label: number, predicted: number) => mistakes.get(`${label} ${predicted}`) ?? []
  return [...mistakes.values()]
    .flatMap((found): ConfusedPair[] => {
      const { label, predicted } = found[0] as Answer
      const back = between(predicted, label).length
      if (back > found.length || (back === found.length && predicted < label)) return []
      const [surest] = found.toSorted((a, b) => b.probability - a.probability)
      return [
        {
          classes: [classes[label] as string, classes[predicted] as string],
          labels: [label, predicted],
          counts: [found.length, back],
          path: (surest as Answer).path,
        },
      ]
    })
    .sort((a, b) => b.counts[0] + b.counts[1] - a.counts[0] - a.counts[1])
    .slice(0, MOST_PAIRS)
}

/** PNG bytes: two lines a pair. */
export async function confusedSheet(
  pairs: readonly ConfusedPair[],
  model: Model,
  groups: readonly ChannelGroup[],
): Promise<Buffer> {
  const lines: SheetLine[] = []
  const pictures: Picture[] = pairs.map(({ path }) => ({ path }))
  const labelsOf = (n: number) => pairs[n]?.labels ?? []
  await seeEach(pictures, { who: 'explain', model, groups, labelsOf }, (n, seen) => {
    const { classes, counts, path } = pairs[n] as ConfusedPair
    const [times, back] = counts
    const texts = [
      `${basename(path)} is ${classes[0]}`,
      `taken for ${classes[1]}, ${times} times (${back} the other way round)`,
    ]
    for (const [at, maps] of seen.maps.entries()) {
      const percent = (100 * (seen.probabilities[maps.label] as number)).toFixed(1)
      const title = `${texts[at]}: ${percent} %, h ${maps.h.toFixed(2)} of ${maps.shape[0]}`
      lines.push({ picture: seen.picture, title, maps })
    }
  })
  const unseen = pictures.find(({ error }) => error)
  if (unseen) throw unseen.error // it was decoded a moment ago
  return mapsSheet(lines)
}
