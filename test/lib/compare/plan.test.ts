// The page of `mcloss compare`: its command is planned as it stands, its study is one.

import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { entriesOf } from '../../../lib/compare/entries.js'
import { notInRecipes } from '../../../lib/compare/recipe.js'
import { defineStudy } from '../../../lib/compare/study.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { tinyConfig } from '../../support/tiny-study.js'

const root = join(import.meta.dirname, '../../..')
const page = readFileSync(join(root, 'docs/compare.md'), 'utf8')
const folder = temporaryFolder()
const block = (language: string) =>
  new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``).exec(page)?.[1] ?? ''

test('the command of the page prints its runs and core-hours, and runs nothing', async () => {
  writeFileSync(join(folder, 'birds.json'), JSON.stringify(tinyConfig(folder)))
  const cli = `"${process.execPath}" "${join(root, 'dist/cli/main.js')}"`
  const command = block('sh').replace('npx mcloss', cli)
  expect(command).not.toBe(block('sh'))
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: folder })
  expect(stdout).toMatch(/^10 runs, 0 of them done; \d\.\d\d core-hours/m)
  for (const line of [/\| cross-entropy +\| 5 +\| \d/, /\| mc alpha 1.5 beta 2 +\| 5 +\| \d/]) {
    expect(stdout).toMatch(line)
  }
  const out = join(folder, 'compared')
  expect(existsSync(join(out, 'birds.jsonl'))).toBe(false)
  expect(readdirSync(join(out, 'runs'))).toEqual(['stores'])
})

test('the study of the page is one', async () => {
  const study = await defineStudy({ ...JSON.parse(block('json')), base: tinyConfig(folder) })
  const entries = entriesOf(study)
  expect(entries).toHaveLength(6)
  expect(entries.map(({ baseline }) => baseline?.label)).toEqual(
    ['', '', ''].flatMap(() => [15, 30].map((n) => `cross entropy, data.trainPerClass ${n}`)),
  )
})

test('the page names every key that is no part of a recipe', () => {
  const [, named = ''] = /without these keys: (.*?)\. Other/s.exec(page) ?? []
  const keys = named.match(/[\w.]+(?=`)/g)
  const own = notInRecipes.filter((key) => !['$schema', 'published'].includes(key))
  expect(keys?.sort()).toEqual([...own].sort())
})
