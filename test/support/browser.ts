// A real browser for the tests of pages. What a page must never do is collected while it is open.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { browserPath } from '../../scripts/dev/chromium.mjs'

export { openBrowser } from '../../scripts/dev/chromium.mjs'

/** Why tests are skipped, for their names. `npm run test:browser` skips none. */
export const isSkipped = !browserPath && process.env.MCLOSS_NEEDS_BROWSER !== '1'
export const reason = isSkipped ? ' (there is no chromium here: apt-get install chromium)' : ''

export interface Opened {
  page: Page
  /** Console errors and warnings, errors of scripts, requests to elsewhere, what the policy refused. */
  faults: string[]
}

/** `own`: what addresses of the page's own requests begin with. */
export async function openPage(
  browser: Browser,
  address: string,
  { width = 1200, dark = false, own = address } = {},
): Promise<Opened> {
  const colorScheme = dark ? 'dark' : 'light'
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  const faults: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(own) && !url.startsWith('data:'))
      faults.push(`request: ${url.slice(0, 200)}`)
  })
  await page.exposeBinding('refusedByPolicy', (_, what: string) => faults.push(`policy: ${what}`))
  await page.addInitScript(`addEventListener('securitypolicyviolation', (event) =>
    refusedByPolicy(event.effectiveDirective + ' ' + event.blockedURI))`)
  await page.goto(address)
  return { page, faults }
}

/** Of all processes of the browser so far; a busy machine does not change it. */
export async function processorSeconds(browser: Browser): Promise<number> {
  const session = await browser.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0)
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** What axe-core finds serious or critical, a line each. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(axe, 'utf8'))
  const { violations } = await page.evaluate<AxeResults>('axe.run()')
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`)
}

interface AxeResults {
  violations: { id: string; impact: string | null; nodes: { html: string }[] }[]
}
