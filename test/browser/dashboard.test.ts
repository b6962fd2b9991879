// The dashboard in a real browser.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Dashboard, startDashboard } from '../../lib/dashboard/index.js'
import { Claim } from '../../lib/train/claim.js'
import { isSkipped, openBrowser, openPage, reason, seriousFaults } from '../support/browser.js'
import { epochEvent, writeRecords } from '../support/run-records.js'
import { temporaryFolder } from '../support/small-birds.js'

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
