// The report as a file: what it is made of, what it says is missing, where it goes. A browser looks at it
// in test/browser.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { writeDrawnBirds } from '../../../lib/data/datasets/drawn-birds.js'
import { html, scriptJson } from '../../../lib/html.js'
import { chartsOf } from '../../../lib/report/curves.js'
import { makeReport } from '../../../lib/report/index.js'
import { nearestPairs } from '../../../lib/report/pairs.js'
import { readRun } from '../../../lib/report/run.js'
import { thumbnailsOf } from '../../../lib/report/thumbnails.js'
import { writeRecords } from '../../support/run-records.js'
import { temporaryFolder } from '../../support/small-birds.js'

const classes = ['crow', 'wren', 'finch']
const madeRun = (options = {}) =>
  writeRecords(join(temporaryFolder(), 'run'), { classes, epochs: 3, ...options })

test('a value in a template is text, in JSON for a script too', () => {
  const name = '</script><b a="1" c=\'2\'>&\u2028'
  expect(html`<p title="${name}">${[html`<i>${1}</i>`]}${null}</p>`.markup).toBe(
    '<p title="&lt;/script&gt;&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u2028"><i>1</i></p>',
  )
  const { markup } = scriptJson({ [name]: [name, 0.5] })
  expect(markup).not.toMatch(/[<>&\u2028\u2029]/)
  expect(JSON.parse(markup)).toEqual({ [name]: [name, 0.5] })
})

test('curves: every part of the loss, gaps where an epoch has no figure, epochs from 1', async () => {
  const run = await readRun(await madeRun({ evalEvery: 2 }))
  const charts = new Map(chartsOf([run]).map((chart) => [chart.id, chart]))
  expect([...charts.keys()]).toEqual([
    ...['top1', 'mean-per-class', 'loss', 'part-ce', 'part-dis', 'part-div', 'cross-entropy'],
    ...['lr', 'speed', 'data-wait'],
  ])
  expect(charts.get('top1')).toMatchObject({
    epochs: [1, 2, 3],
    series: [
      { label: 'train', values: [0.3, 0.6, 0.9] },
      { label: 'test', values: [null, 0.53333, 0.8] },
      { label: 'weight average (EMA)', values: [null, 0.46667, 0.7] },
    ],
  })
  expect(charts.get('mean-per-class')?.epochs).toEqual([2, 3])
})

test('an epoch that was trained again takes the place of what was behind it; half a line is told', async () => {
  const dir = await madeRun()
  const journal = join(dir, 'metrics.jsonl')
  const lines = readFileSync(journal, 'utf8').split('\n')
  const again = (lines[2] as string).replace('"lr":', '"lr":7,"old":')
  writeFileSync(journal, `${lines.join('\n')}${again}\n{"type":"epoch","ep`)
  const { epochs, notes } = await readRun(dir)
  expect(epochs.map(({ epoch, lr }) => [epoch, lr === 7])).toEqual([
    [0, false],
    [1, true],
  ])
  expect(notes).toEqual([
    '1 of 8 lines of metrics.jsonl could not be read and are left out.',
    expect.stringMatching(/^2 of 3 epochs are done/),
  ])
})

test('pairs: by the share of images that are mixed up, over runs whose classes have other orders', () => {
  const a = {
    classes: ['crow', 'wren', 'finch'],
    counts: [
      [7, 3, 0],
      [1, 9, 0],
      [0, 2, 8],
    ],
  }
  const b = {
    classes: ['finch', 'crow'],
    counts: [
      [10, 0],
      [5, 5],
    ],
  }
  expect(nearestPairs([a, b, undefined], 9)).toEqual(
    [
      {
        ...{ class: 'crow', other: 'finch' },
        runs: [
          { there: 0, back: 0, n: 10, otherN: 10 },
          { there: 5, back: 0, n: 10, otherN: 10 },
          undefined,
        ],
      },
    ].flatMap((pair) => [
      {
        class: 'crow',
        other: 'wren',
        runs: [{ there: 3, back: 1, n: 10, otherN: 10 }, undefined, undefined],
      },
      pair,
      {
        class: 'finch',
        other: 'wren',
        runs: [{ there: 2, back: 0, n: 10, otherN: 10 }, undefined, undefined],
      },
    ]),
  )
  expect(nearestPairs([a, b], 1)).toHaveLength(1)
})

test('what is missing is said, by the page and by the result; the rest is there', async () => {
  const dir = await madeRun({ planned: 5 })
  rmSync(join(dir, 'environment.json'))
  writeFileSync(join(dir, 'report/per-class.json'), '{"crow": 1}')
  rmSync(join(dir, 'birds'), { recursive: true })
  const { path, notes } = await makeReport({ runs: [dir] })
  const page = readFileSync(path, 'utf8')
  for (const words of [
    '3 of 5 epochs are done',
    'environment.json is not there: the machine is not known.',
    'report/per-class.json is not as a run writes it (other keys or values): figures by class',
    'The data set could not be opened, so classes have no pictures: ',
    '3 pictures are not shown, the first ',
  ]) {
    expect(notes.join('\n')).toContain(words)
    expect(page).toContain(words)
  }
  expect(page).toContain('<bdi class="name">crow</bdi>')
  rmSync(join(dir, 'report'), { recursive: true })
  expect((await makeReport({ runs: [dir] })).notes.join('\n')).toContain('report/ is not there')
})

test('drawn birds that are gone are not drawn again; those that are there are shown', async () => {
  const dir = await madeRun()
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'))
  const root = join(dir, 'drawn')
  config.data = {
    name: 'drawn-birds',
    root,
    classes: 3,
    trainPerClass: 1,
    testPerClass: 1,
    size: 16,
  }
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config))
  mkdirSync(root)
  const { notes } = await makeReport({ runs: [dir] })
  expect(readdirSync(root)).toEqual([])
  expect(notes).toEqual([expect.stringContaining('The data set could not be opened')])
  rmSync(root, { recursive: true })
  await makeReport({ runs: [dir] })
  expect(existsSync(root)).toBe(false)
  await writeDrawnBirds(config.data)
  expect((await makeReport({ runs: [dir] })).notes).toEqual([])
})

test('an earlier report is replaced; another file is refused and left; nothing else stays', async () => {
  const dir = await madeRun()
  const files = () => readdirSync(dir).sort()
  const before = files()
  expect(await makeReport({ runs: [dir] })).toMatchObject({ replaced: false, notes: [] })
  expect(await makeReport({ runs: [dir] })).toMatchObject({ replaced: true })
  expect(files()).toEqual([...before, 'report.html'].sort())
  const other = join(dir, 'config.json')
  const text = readFileSync(other, 'utf8')
  await expect(makeReport({ runs: [dir], out: other })).rejects.toMatchObject({
    code: 'E_ARGUMENT',
  })
  expect(readFileSync(other, 'utf8')).toBe(text)
  const refusals: [string[], string | undefined, string][] = [
    [[dir], join(dir, 'no/folder.html'), 'E_IO'],
    [[dir], join(dir, 'report'), 'E_ARGUMENT'],
    [[dir, `${dir}/`], undefined, 'E_ARGUMENT'],
    [[join(dir, 'report')], undefined, 'E_DATA'],
    [[join(dir, 'nothing')], undefined, 'E_DATA'],
    [[], undefined, 'E_ARGUMENT'],
  ]
  for (const [runs, out, code] of refusals) {
    await expect(makeReport({ runs, out })).rejects.toMatchObject({ code })
  }
})

test('the folder of a comparison gives its table and a run of each entry', async () => {
  const out = temporaryFolder()
  const entry = { seeds: [0, 1], top1: [0.5, 0.6], mean: 0.55, sd: 0.07, seconds: 3 }
  const difference = { mean: 0.05, low: -0.01, high: 0.11, n: 2 }
  const entries = [
    { label: 'cross <entropy>', baseline: 'cross <entropy>', ...entry },
    { label: 'MC-Loss', baseline: 'cross <entropy>', ...entry, difference },
  ]
  const report = { name: 'losses', entries, failed: [], comparisons: 1 }
  writeFileSync(join(out, 'losses.json'), JSON.stringify(report))
  const line = { hash: 'abc', seed: 0, kind: 'figure', label: 'MC-Loss' }
  writeFileSync(join(out, 'losses.jsonl'), `${JSON.stringify(line)}\n`)
  await writeRecords(join(out, 'runs/abc-0/run'), { classes, epochs: 2 })
  const { path, notes } = await makeReport({ runs: [out] })
  const page = readFileSync(path, 'utf8')
  expect(page).toContain('cross &lt;entropy&gt;')
  expect(page).toContain('+5.0')
  expect(page).toContain('MC-Loss, seed 0')
  expect(notes).toEqual(['cross <entropy>: no run folder is there, so it has no curves.'])
})

test('channel maps are shown, the first and the last of many', async () => {
  const dir = await madeRun()
  mkdirSync(join(dir, 'maps'))
  const png = await sharp({ create: { width: 30, height: 20, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  const name = (epoch: number) => `epoch-${String(epoch).padStart(4, '0')}`
  for (const epoch of [1, 2, 3, 4, 5, 6, 7, 9_999, 10_000])
    writeFileSync(join(dir, 'maps', `${name(epoch)}.png`), png)
  writeFileSync(join(dir, 'maps', 'another.png'), png)
  const page = readFileSync((await makeReport({ runs: [dir] })).path, 'utf8')
  const shown = [...page.matchAll(/alt="Channel maps, ([^"]+)"/g)].map(([, found]) => found)
  expect(shown).toHaveLength(6)
  expect([shown[0], shown[5]]).toEqual([name(1), name(10_000)])
})

test('pictures get smaller until they fit, each counted as often as it is used', async () => {
  const dir = await madeRun()
  const paths = classes.map((_, at) => join(dir, 'birds', `${at}.jpg`))
  const sides = [160, 80, 40]
  const bytes = async (budgetBytes: number, used = paths) => {
    const found = await thumbnailsOf(used, { sides, quality: 80, budgetBytes })
    const all = used.map((path) => found.of(path))
    return { found, all, sum: all.reduce((sum, one) => sum + (one?.address.length ?? 0), 0) }
  }
  const whole = await bytes(1e6)
  expect(whole.all.map((one) => [one?.width, one?.height])).toEqual(Array(3).fill([160, 120]))
  const [, , decoded] = whole.all
  const jpeg = Buffer.from(decoded?.address.split(',')[1] ?? '', 'base64')
  expect(await sharp(jpeg).metadata()).toMatchObject({ format: 'jpeg', width: 160, height: 120 })
  const smaller = await bytes(whole.sum - 1)
  expect(smaller.all.map((one) => one?.width)).toEqual([80, 80, 80])
  const twice = await bytes(whole.sum, [...paths, ...paths])
  expect(twice.sum).toBeLessThanOrEqual(whole.sum)
  expect(twice.all[0]?.width).toBe(80)
  const least = await bytes(500)
  expect(least.found.leftOut).toBeGreaterThan(0)
  expect(least.sum).toBeLessThanOrEqual(500)
})
