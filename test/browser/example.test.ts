// examples/browser in a real browser: the classes of predict, and the maps of the class over the picture.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineConfig } from '../../lib/config/index.js'
import { exportModel } from '../../lib/export/index.js'
import type { Prediction } from '../../lib/predict/each.js'
import { predict } from '../../lib/predict/inference.js'
import { train } from '../../lib/train/train.js'
import { isSkipped, openBrowser, openPage, reason, seriousFaults } from '../support/browser.js'
import { temporaryFolder, toyConfig } from '../support/small-birds.js'
import { writeModel } from '../support/untrained-model.js'

const script = join(import.meta.dirname, '../../examples/browser/serve.mjs')
const BIRDS = 20

describe.skipIf(isSkipped)(`the page of a model in a browser${reason}`, () => {
  const folder = temporaryFolder()
  const servers: ChildProcess[] = []
  let browser: Browser
  let weights: string
  let files: string[]

  beforeAll(async () => {
    const { data, optim } = toyConfig(folder)
    const config = {
      data: { ...data, trainPerClass: 30, testPerClass: 8 },
      optim: { ...optim, lr: 0.1, epochs: 15 },
    }
    weights = (await train(defineConfig(toyConfig(folder, config as object))).result).runDir
    const test = join(folder, 'birds/test')
    files = readdirSync(test, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.jpg'))
      .map((name) => join(test, name))
      .slice(0, BIRDS)
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    for (const server of servers) server.kill()
  })

  async function openExample(of: string, name: string, maps = true) {
    const out = join(folder, name)
    await exportModel({ weights: of, out, format: 'onnx', maps })
    const server = spawn(process.execPath, [script, out, '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    servers.push(server)
    const [line] = await once(server.stdout, 'data')
    const opened = await openPage(browser, String(line).trim())
    await opened.page.getByText('The model is ready.').waitFor()
    return opened
  }

  async function classesOf(page: Page, path: string): Promise<string[]> {
    await page.locator('#file').setInputFiles(path)
    await page.locator('#file:enabled').waitFor()
    return page.locator('#top button span:first-child').allTextContents()
  }

  test(`the top-1 of predict on ${BIRDS} birds; the maps of the class that is chosen`, async () => {
    const { page, faults } = await openExample(weights, 'birds.onnx')
    const predictions = (await predict(files, { weights, top: 3 })) as Prediction[]
    let decided = 0
    for (const { path, top } of predictions) {
      const found = await classesOf(page, path)
      const percents = await page.locator('#top button span:last-child').allTextContents()
      for (const { class: name, probability } of top) {
        const shown = Number.parseFloat(percents[found.indexOf(name)] as string)
        // A browser's JPEG decoder rounds otherwise than the library's.
        expect(Math.abs(shown - 100 * probability), `${path} ${name}`).toBeLessThan(2)
      }
      const [first, second] = top.map(({ probability }) => probability) as [number, number]
      if (first - second < 0.04) continue
      expect(found[0], path).toBe(top[0]?.class)
      decided++
    }
    expect(decided).toBeGreaterThan(BIRDS / 2)
    expect(predictions).toHaveLength(BIRDS)

    const drawn = () => page.evaluate("document.getElementById('picture').toDataURL()")
    const [first, maps] = [await drawn(), page.locator('#maps canvas')]
    expect(await maps.count()).toBe(4) // 12 channels of 3 classes
    await page.locator('#top button').nth(1).click()
    expect(await drawn()).not.toBe(first)
    expect(await seriousFaults(page)).toEqual([])

    await classesOf(page, script)
    expect(await page.locator('#status').textContent()).toContain('cannot be used')
    expect(await page.locator('#result').isVisible()).toBe(false)
    expect(faults).toEqual([])
    await page.close()
  })

  test('a model without MC-Loss, and one without maps, say so beside the picture', async () => {
    const plain = await writeModel(join(folder, 'plain'))
    for (const [maps, words] of [
      [true, 'not trained with the MC-Loss'],
      [false, 'exported without its maps'],
    ] as const) {
      const { page, faults } = await openExample(plain, `plain-${maps}.onnx`, maps)
      expect(await classesOf(page, files[0] as string)).toHaveLength(5)
      expect(await page.locator('#about').textContent()).toContain(words)
      expect(await page.locator('#maps canvas').count()).toBe(0)
      expect(faults).toEqual([])
      await page.close()
    }
  })
})
