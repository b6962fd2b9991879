// The report in a real browser.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeReport } from '../../lib/report/index.js'
import {
  isSkipped,
  openBrowser,
  openPage,
  processorSeconds,
  reason,
  seriousFaults,
} from '../support/browser.js'
import { writeRecords } from '../support/run-records.js'
import { temporaryFolder } from '../support/small-birds.js'

const hostile = [
  '<img src=x onerror="window.ran = 1">',
  '"\'></script><script>window.ran = 1</script>',
  '</style><style>body { display: none }</style>',
  'עברית <b>bold</b> \u202eabc',
  'a\u2028b & &amp; %s',
  'long'.repeat(80),
]

describe.skipIf(isSkipped)(`the report in a browser${reason}`, () => {
  let browser: Browser
  let address: string

  beforeAll(async () => {
    const folder = temporaryFolder()
    const first = join(folder, 'first <i>run</i>')
    const runs = [
      await writeRecords(first, { classes: hostile, epochs: 8, planned: 10 }),
      await writeRecords(join(folder, 'r'.repeat(200)), {
        classes: hostile,
        epochs: 9,
        shift: 0.05,
      }),
    ]
    const { path } = await makeReport({ runs, out: join(folder, 'report.html') })
    address = pathToFileURL(path).href
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  test('hover shows values; numbers are a table; columns sort by pointer and key', async () => {
    const { page, faults } = await openPage(browser, address)
    const chart = page.locator('#chart-top1')
    await chart.scrollIntoViewIfNeeded()
    const box = await chart.locator('.u-over').boundingBox()
    if (!box) throw new Error('the chart is not drawn')
    await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2)
    // Of the formulas at epoch 9, where the first run has none.
    const values = await chart.locator('.u-legend .u-value').allTextContents()
    expect(values).toEqual(['9', '–', '–', '–', '95.0 %', '85.0 %', '75.0 %'])
    expect(await chart.locator('.u-wrap').getAttribute('aria-label')).toContain(
      'train: 11.3 % at epoch 1, 90.0 % at epoch 8',
    )

    await chart.locator('summary').click()
    const numbers = await chart
      .locator('details tbody tr')
      .last()
      .locator('th, td')
      .allTextContents()
    expect(numbers).toEqual(values)

    const accuracies = page.locator('#classes tbody tr td:nth-child(3)')
    const shown = async () => (await accuracies.allTextContents()).map(Number.parseFloat)
    const before = await shown()
    await page.locator('#classes thead th:nth-child(3) button').click()
    expect(await shown()).toEqual([...before].sort((a, b) => b - a))
    await page.keyboard.press('Enter')
    expect(await shown()).toEqual([...before].sort((a, b) => a - b))
    const head = page.locator('#classes thead th:nth-child(3)')
    expect(await head.getAttribute('aria-sort')).toBe('ascending')
    expect(faults).toEqual([])
    await page.close()
  })

  test('names are text; at 360 px nothing is wider than the page; text can be selected', async () => {
    const { page, faults } = await openPage(browser, address, { width: 360 })
    const names = await page.locator('#classes tbody th').allTextContents()
    expect(names).toEqual(hostile)
    const seen = await page.evaluate(`({
      ran: window.ran ?? null,
      width: document.documentElement.scrollWidth,
      wide: [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll, .hidden, pre') && e.getBoundingClientRect().right > 361).slice(0, 5).map((e) => e.outerHTML.slice(0, 200)),
      images: [...document.images].filter(({ complete, naturalWidth }) => !complete || !naturalWidth).length,
      direction: getComputedStyle(document.querySelectorAll('#classes bdi.name')[5]).direction,
      selected: (getSelection().selectAllChildren(document.querySelector('#classes tbody')), getSelection().toString()),
    })`)
    expect(seen).toMatchObject({ ran: null, width: 360, wide: [], images: 0, direction: 'rtl' })
    expect((seen as { selected: string }).selected).toContain(hostile[0])
    await page.locator('#chart-loss summary').click()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    expect(faults).toEqual([])
    await page.close()
  })

  test('the colours follow the dark mode; axe-core finds nothing serious in either', async () => {
    const { page, faults } = await openPage(browser, address)
    const paper = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const curves = () => page.evaluate("document.querySelector('canvas').toDataURL()")
    const light = [await paper(), await curves()]
    expect(await seriousFaults(page)).toEqual([])
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await paper()).not.toBe(light[0])
    await expect.poll(curves, { timeout: 60_000 }).not.toBe(light[1])
    expect(await seriousFaults(page)).toEqual([])
    expect(faults).toEqual([])
    await page.close()
  })

  test('what a page must not do is refused by its policy, and seen by this test', async () => {
    const { page, faults } = await openPage(browser, address)
    await page.evaluate(`new Promise((done) => {
      const add = (name, more) => document.body.append(Object.assign(document.createElement(name), more))
      add('script', { textContent: 'window.ran = 1' })
      add('style', { textContent: 'body { display: none }' })
      add('img', { src: 'http://127.0.0.1:9/picture.png' })
      fetch('http://127.0.0.1:9/').catch(() => setTimeout(done, 50))
    })`)
    expect(
      await page.evaluate('[window.ran ?? null, getComputedStyle(document.body).display]'),
    ).toEqual([null, 'block'])
    for (const directive of ['script-src-elem', 'style-src-elem', 'img-src', 'connect-src']) {
      expect(faults.join('\n')).toContain(`policy: ${directive}`)
    }
    await page.close()
  })

  test('a chart is drawn when it comes near the view, or all for print, with its words before', async () => {
    const { page, faults } = await openPage(browser, address)
    const last = page.locator('#chart-data-wait')
    await page.locator('#chart-top1 canvas').waitFor()
    expect(await last.locator('canvas').count()).toBe(0)
    const words = 'Share of the time spent waiting for data. i>: 1.0 % at epoch 1'
    expect(await last.getByRole('img').getAttribute('aria-label')).toContain(words)
    await last.scrollIntoViewIfNeeded()
    await last.locator('canvas').waitFor()
    expect(await last.getByRole('img').getAttribute('aria-label')).toContain(words)
    expect(await last.getByRole('img').count()).toBe(1)
    await page.close()
    const printed = await openPage(browser, address)
    expect(await printed.page.locator('#chart-data-wait canvas').count()).toBe(0)
    await printed.page.pdf()
    expect(await printed.page.locator('.chart:not(:has(canvas, img))').count()).toBe(0)
    expect([...faults, ...printed.faults]).toEqual([])
    await printed.page.close()
  })

  test('300 epochs and 200 classes: less than 5 MB; what is far from the view waits', async () => {
    const classes = Array.from({ length: 200 }, (_, at) => `${at}.Some_kind_of_bird_with_a_name`)
    const dir = await writeRecords(temporaryFolder(), { classes, epochs: 300, mistakes: 50 })
    const { path } = await makeReport({ runs: [dir] })
    const before = await processorSeconds(browser)
    const began = performance.now()
    const { page, faults } = await openPage(browser, pathToFileURL(path).href)
    await page.locator('#chart-top1 canvas').waitFor()
    await page.evaluate('new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)))')
    const seconds = ((performance.now() - began) / 1000).toFixed(2)
    const megabytes = (statSync(path).size / 1e6).toFixed(2)
    const busy = ((await processorSeconds(browser)) - before).toFixed(2)
    process.stdout.write(
      `300 epochs, 200 classes: ${megabytes} MB, opened in ${seconds} s, ${busy} s of the processor\n`,
    )
    expect(statSync(path).size).toBeLessThan(5_000_000)
    expect(await page.locator('.chart canvas').count()).toBeLessThan(
      await page.locator('.chart').count(),
    )
    const isLaidOut = (id: string) =>
      page.evaluate(
        `document.querySelector('#${id} > :last-child').checkVisibility({ contentVisibilityAuto: true })`,
      )
    expect(await isLaidOut('runs')).toBe(true)
    expect(await isLaidOut('classes')).toBe(false)
    expect(await page.locator('#classes tbody tr').count()).toBe(200)
    expect(faults).toEqual([])
    await page.close()
  })
})
