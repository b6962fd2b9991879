// The dashboard in a real browser.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { defineConfig } from '../../lib/config/index.js'
import { type Dashboard, startDashboard } from '../../lib/dashboard/index.js'
import type { Sample } from '../../lib/data/batch.js'
import { openDataset } from '../../lib/data/datasets/index.js'
import type { McLossError } from '../../lib/errors.js'
import { Claim } from '../../lib/train/claim.js'
import { train } from '../../lib/train/train.js'
import { isSkipped, openBrowser, openPage, reason, seriousFaults } from '../support/browser.js'
import { epochEvent, writeRecords } from '../support/run-records.js'
import { temporaryFolder, toyConfig } from '../support/small-birds.js'

const classes = ['a', 'b']
const hostile = '<img src=x onerror="window.ran = 1">'

describe.skipIf(isSkipped)(`the dashboard in a browser${reason}`, () => {
  const root = temporaryFolder()
  const going = join(root, hostile)
  const claim = new Claim()
  let browser: Browser
  let dashboard: Dashboard

  beforeAll(async () => {
    await writeRecords(going, { classes, epochs: 3, planned: 9 })
    await writeRecords(join(root, 'long'.repeat(50)), { classes, epochs: 9, shift: 0.05 })
    await claim.take(going)
    dashboard = await startDashboard({ dir: root, pollMs: 50 })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await dashboard?.close()
    await claim.release()
  })

  test('curves move while a run is live, names are text, and stop asks the run', async () => {
    const { page, faults } = await openPage(browser, dashboard.address)
    const words = () => page.locator('.chart .u-wrap').first().getAttribute('aria-label')
    await expect.poll(words).toContain('at epoch 3;')
    const event = epochEvent(3, { classes, epochs: 9 })
    writeFileSync(join(going, 'metrics.jsonl'), `${JSON.stringify(event)}\n`, { flag: 'a' })
    await expect.poll(words).toContain('at epoch 4;')
    expect(await page.locator('.card .name').first().textContent()).toBe(hostile)
    await page.locator('.stop:visible').click()
    await expect.poll(() => existsSync(join(going, 'stop'))).toBe(true)
    await expect.poll(() => page.locator('.state').first().textContent()).toContain('stopping')
    expect(await page.evaluate('window.ran ?? null')).toBe(null)
    expect(faults).toEqual([])
    await page.close()
  })

  test('a run that trains: its curves move, its newest maps are shown, and stop ends and saves it', async () => {
    const folder = temporaryFolder()
    const config = toyConfig(folder, { optim: { lr: 0.05, epochs: 500, batchSize: 8 } })
    const { test: pictures } = await openDataset(defineConfig(config).data)
    const images = [(pictures[0] as Sample).path]
    const abort = new AbortController()
    const { signal } = abort
    const run = train({ ...config, name: 'live', explain: { images } }, { signal })
    const outcome = run.result.catch((error: McLossError) => error.code)
    const live = await startDashboard({ dir: folder, pollMs: 50 })
    onTestFinished(() => {
      abort.abort()
      return live.close()
    })
    const { page, faults } = await openPage(browser, live.address)
    const maps = page.locator('.card .map')
    const shownMaps = async () => Number(/(\d+)$/.exec((await maps.getAttribute('src')) ?? '')?.[1])
    const epochs = async () =>
      Number(
        /at epoch (\d+);/.exec(
          (await page.locator('.u-wrap').first().getAttribute('aria-label')) ?? '',
        )?.[1],
      )
    await maps.waitFor()
    const before = [await shownMaps(), await epochs()] as const
    await expect.poll(shownMaps).toBeGreaterThan(before[0])
    await expect.poll(epochs).toBeGreaterThan(before[1])
    expect(await maps.getAttribute('alt')).toMatch(/^Channel maps of runs\/live after epoch \d+$/)
    const { width } = await sharp(join(folder, 'runs/live/maps/epoch-0001.png')).metadata()
    const shownWidth = () => page.evaluate("document.querySelector('.card .map').naturalWidth")
    await expect.poll(shownWidth).toBe(width)
    await page.locator('.stop').click()
    expect(await outcome).toBe('E_ABORTED')
    await expect.poll(() => page.locator('.state').textContent()).toContain('stopped;')
    expect(await page.locator('.stop').isVisible()).toBe(false)
    expect(existsSync(join(folder, 'runs/live/last/model.safetensors'))).toBe(true)
    expect(faults).toEqual([])
    await page.close()
  })

  test.each([true, false])(
    'dark %s: nothing is wider than 360 px or serious for axe-core',
    async (dark) => {
      const { page, faults } = await openPage(browser, dashboard.address, { width: 360, dark })
      await page.locator('.chart canvas').first().waitFor()
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
      expect(await seriousFaults(page)).toEqual([])
      expect(faults).toEqual([])
      await page.close()
    },
  )
})
