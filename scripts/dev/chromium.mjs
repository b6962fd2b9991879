// @ts-check
// A real browser for pages: Debian's chromium, or the one that MCLOSS_CHROMIUM names.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']

/** Its path; undefined where there is none. */
export const browserPath = process.env.MCLOSS_CHROMIUM ?? inPath()

function inPath() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) =>
    existsSync(path),
  )
}

export function openBrowser() {
  if (!browserPath) throw new Error('no chromium: apt-get install chromium, or set MCLOSS_CHROMIUM')
  return chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] })
}
