// The lines of metrics.jsonl.

import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { EpochEvent, ProgressEvent, RunEvent } from '../../../lib/events.js'
import { journalOf } from '../../../lib/train/journal.js'

const figures = {
  loss: 2.5,
  parts: { ce: 2, dis: 0.5 },
  top1: 0.25,
  gradNorm: 1,
  skipped: 0,
  imagesPerSecond: 31.25,
  dataWait: 0.125,
}
const progress: ProgressEvent = {
  type: 'progress',
  ...figures,
  epoch: 2,
  epochs: 30,
  step: 46,
  stepInEpoch: 10,
  stepsPerEpoch: 18,
  lr: 0.05,
  etaSeconds: 3725,
}
const epoch: EpochEvent = {
  type: 'epoch',
  epoch: 2,
  epochs: 30,
  step: 54,
  lr: 0.05,
  train: figures,
  test: { loss: 1.75, top1: 0.5, top5: 0.875, meanPerClass: 0.625, classes: 40, n: 1000 },
  seconds: 12.5,
}

test('metrics.jsonl: an event a line, in order, progress aside; opened again it goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mcloss-test-'))
  const published: RunEvent[] = []
  const first = journalOf((event) => published.push(event))
  const early: RunEvent = { type: 'warning', message: 'before the run has its folder' }
  const steps = Array.from({ length: 200 }, (_, step): RunEvent => ({ ...epoch, step }))
  first.emit(early)
  await first.open(folder)
  for (const event of steps) {
    first.emit(progress)
    first.emit(event)
  }
  await first.close()
  const second = journalOf(() => {})
  await second.open(folder)
  second.emit(epoch)
  await second.close()
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8').trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([early, ...steps, epoch])
  expect(published.filter(({ type }) => type !== 'progress')).toEqual([early, ...steps])
  expect(published).toHaveLength(401)
})

test('metrics.jsonl that cannot be opened or written is an E_IO that names it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mcloss-test-'))
  writeFileSync(join(folder, 'file'), '')
  const refused = (path: string) => ({ code: 'E_IO', message: expect.stringContaining(path) })
  await expect(journalOf(() => {}).open(join(folder, 'file'))).rejects.toMatchObject(
    refused('metrics.jsonl'),
  )

  expect(existsSync('/dev/full')).toBe(true)
  symlinkSync('/dev/full', join(folder, 'metrics.jsonl'))
  const full = journalOf(() => {})
  await full.open(folder)
  full.emit(epoch)
  full.emit(epoch)
  await expect(full.close()).rejects.toMatchObject(refused('metrics.jsonl'))
})
