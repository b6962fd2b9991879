// Small headers, edited at random: our reader's verdict is the official one's, or a stricter one
// for a reason of stricter.ts. 2,000 of the 100,000 mutants in every run, all with MCLOSS_SOAK=1.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fixtureLines, soak } from '../../support/fixture-lines.js'
import { words } from '../../support/formula-weights.js'
import { outcome, smallTrainer, withLength } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { stricter } from '../../support/stricter.js'

interface Mutants {
  bases: string[]
  pieces: string[]
  dataBytes: number
  count: number
  /** Base64 of a bit a mutant, least significant first. */
  accepted: string
}

const [mutants] = fixtureLines<Mutants>('safetensors/mutants.jsonl')
if (!mutants) throw new Error('safetensors/mutants.jsonl is empty')
const { bases, pieces, dataBytes, count } = mutants
const bits = Buffer.from(mutants.accepted, 'base64')
const officialAccepts = (number: number) => ((bits[number >> 3] ?? 0) >> (number & 7)) % 2 === 1

/** The twin of make_safetensors.py's. */
function mutant(number: number): Buffer {
  const [base = 0, many = 0, ...rest] = words(`mutant.${number}`, 14)
  let text = Buffer.from(bases[base % bases.length] ?? '')
  for (let edit = 0; edit < Math.max(1, (many % 6) - 2); edit++) {
    const [kind = 0, place = 0, length = 0, piece = 0] = rest.slice(4 * edit)
    const at = place % (text.length + 1)
    const added = Buffer.from(pieces[piece % pieces.length] ?? '')
    const left = 1 + (length % 4)
    const [before, after] = [text.subarray(0, at), (skip: number) => text.subarray(at + skip)]
    if (kind % 8 === 0) text = Buffer.concat([before, after(left)])
    else if (kind % 8 < 3) text = Buffer.concat([before, added, after(0)])
    else if (kind % 8 < 7) text = Buffer.concat([before, added, after(added.length)])
    else text = Buffer.concat([text.subarray(0, at + 4 * left), after(0)])
  }
  return text
}

test(`${soak ? count : count / 50} mutated headers`, { timeout: 1_200_000 }, async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'mutant.safetensors')
  const trainer = await smallTrainer()
  const counts = { accepted: 0, refused: 0, stricter: 0 }
  const wrong: string[] = []
  for (let number = 0; number < count; number += soak ? 1 : 50) {
    const header = mutant(number)
    writeFileSync(path, Buffer.concat([withLength(header), Buffer.alloc(dataBytes)]))
    const { is, message } = await outcome(trainer, path, true)
    const [ours, theirs] = [is !== 'refused', officialAccepts(number)]
    if (ours === theirs) counts[ours ? 'accepted' : 'refused']++
    else if (theirs && stricter.some(({ says }) => says.test(message))) counts.stricter++
    else wrong.push(`${number}: ${header} official ${theirs}, ours ${ours} ${message}`)
  }
  await trainer.dispose()
  rmSync(folder, { recursive: true })
  expect(wrong).toEqual([])
  // Both verdicts must have been met, or the mutants test nothing.
  expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(20)
})
