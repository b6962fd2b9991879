// @ts-check
// `npm run pictures`: makes the pictures of README.md, docs/images, from two runs on the drawn birds. The runs
// are the demo's: about 5 minutes of one core. What is there already
// under runs/pictures is not trained again. The report's picture takes a chromium.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { openBrowser } from './chromium.mjs'
import { ensure } from './ensure.mjs'

const out = join(packageRoot, 'runs/pictures')
const root = join(out, 'drawn-birds')
const folder = join(packageRoot, 'docs/images')
/** Folders of the runs. */
const RUNS = /** @type {const} */ ({ ce: 'cross-entropy', mc: 'mc-loss' })
const SHOWN = 15 // of the kinds
const MAPPED = [7, 2] // kinds whose maps are shown, of the first test image
const JPEG_QUALITY = 80

await runAsProgram(import.meta.url, async () => {
  await ensure()
  const { datasets } = await import('../../dist/index.js')
  const data = await datasets.openDataset((await configOf('ce')).data)
  const first = data.classes.flatMap(
    (_, label) => data.test.find((one) => one.label === label) ?? [],
  )
  const mapped = MAPPED.flatMap((label) => first[label]?.path ?? [])
  await train(mapped)
  mkdirSync(folder, { recursive: true })
  await drawBirds({ ...data, test: first.slice(0, SHOWN) })
  await drawMaps(mapped)
  await drawReport()
})

async function configOf(/** @type {keyof typeof RUNS} */ loss) {
  const { demoConfig } = await import('../../dist/demo.js')
  const config = demoConfig(loss, { root, out, seed: 0, threads: 1 })
  return { ...config, name: RUNS[loss], evalEvery: 1 }
}

async function train(/** @type {string[]} */ images) {
  const { train } = await import('../../dist/index.js')
  for (const loss of /** @type {const} */ (['ce', 'mc'])) {
    if (existsSync(join(out, RUNS[loss], 'report'))) continue
    await train({ ...(await configOf(loss)), explain: { images } }).result
  }
}

/** A test image of each of the first kinds. */
async function drawBirds(/** @type {import('../../dist/index.js').Dataset} */ data) {
  const { contactSheet } = await import('../../dist/index.js')
  const options = /** @type {const} */ ({ split: 'test', epoch: 0, count: data.test.length })
  const { png } = await contactSheet(data, await configOf('ce'), options)
  await write('birds.jpg', png)
}

/** The maps of both runs of the same images, by turns. */
async function drawMaps(/** @type {string[]} */ images) {
  const { channelMaps } = await import('../../dist/index.js')
  const { decode } = await import('../../dist/data/images.js')
  const { mapsSheet } = await import('../../dist/maps/sheet.js')
  const found = await Promise.all(
    /** @type {const} */ (['ce', 'mc']).map(async (loss) => ({
      name: RUNS[loss],
      all: await channelMaps({ weights: join(out, RUNS[loss]), images }),
    })),
  )
  const lines = await Promise.all(
    images.flatMap((path, n) =>
      found.map(async ({ name, all }) => {
        const maps = all[n]
        if (!maps || maps.error) throw maps?.error
        const percent = (100 * maps.probability).toFixed(1)
        const title = `${name}: ${maps.class}, ${percent} %, h ${maps.h.toFixed(2)} of ${maps.shape[0]}`
        return { picture: await decode(path), title, maps }
      }),
    ),
  )
  await write('maps.jpg', await mapsSheet(lines))
}

/** A part of the report of both runs. */
async function drawReport() {
  const { makeReport } = await import('../../dist/index.js')
  const { path } = await makeReport({
    ...{ runs: Object.values(RUNS).map((name) => join(out, name)), out: join(out, 'report.html') },
  })
  const browser = await openBrowser()
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 660 } })
    await page.goto(`${pathToFileURL(path).href}#pairs`)
    await page.locator('#pairs img').first().waitFor()
    await write('report.jpg', await page.screenshot())
  } finally {
    await browser.close()
  }
}

/** Small parts keep their colour. */
async function write(/** @type {string} */ name, /** @type {Buffer} */ png) {
  const { default: sharp } = await import('sharp')
  const jpeg = sharp(png).jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' })
  await jpeg.toFile(join(folder, name))
}
