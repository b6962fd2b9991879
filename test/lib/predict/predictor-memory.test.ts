// 20 predictors one after another, in a process of their own: its memory is what is looked at.

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createPredictor } from '../../../lib/predict/predictor.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { smallConfig, writeModel } from '../../support/untrained-model.js'

test('threads and memory of the 20th are those of the third', async () => {
  const config = smallConfig({ backbone: 'vgg-small', channelsPerClass: 600 })
  const weights = await writeModel(temporaryFolder(), config)
  const megabytes = readFileSync(weights).length / 2 ** 20
  expect(megabytes).toBeGreaterThan(8)
  const image = { data: new Uint8Array(48 * 48 * 3), height: 48, width: 48 }
  const seen: { threads: number; rss: number }[] = []
  for (let cycle = 0; cycle < 20; cycle++) {
    const one = await createPredictor({ weights, threads: 1 })
    await one.predict([image])
    await one.dispose()
    const threads = readdirSync('/proc/self/task').length
    seen.push({ threads, rss: process.memoryUsage.rss() / 2 ** 20 })
  }
  const [third, last] = [seen[2], seen[19]] as [(typeof seen)[0], (typeof seen)[0]]
  expect(last.threads).toBeLessThan(third.threads + 8)
  // Half of what 17 models would take that stayed.
  expect(last.rss - third.rss).toBeLessThan((17 * megabytes) / 2)
})
