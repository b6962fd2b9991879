// Each benchmark set in its official layout trains by name through the command line, which prints
// that the counts are not the official ones; with data.strict nothing is trained.

import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../../support/small-birds.js'
import { readerOf, tinySetNames, writeTinySet } from '../../../support/tiny-sets.js'

const cli = join(import.meta.dirname, '../../..', '..', 'dist', 'cli', 'main.js')
const folder = temporaryFolder()

function train(name: string, root: string, run: string, ...more: string[]) {
  const flags = {
    'data.name': name,
    'data.root': root,
    'data.resize': '32',
    'model.backbone': 'toy',
    'model.head': 'linear',
    'model.channelsPerClass': '4',
    'loss.name': 'mc',
    'loss.alpha': '1',
    'loss.beta': '0.5',
    'optim.lr': '0.05',
    'optim.epochs': '1',
    'optim.batchSize': '3',
    threads: '1',
    name: run,
  }
  const args = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, value])
  return new Promise<{ code: number; stdout: string; stderr: string }>((settle) => {
    execFile(cli, ['train', ...args, ...more], { cwd: folder }, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}
const best = (run: string) => join(folder, 'runs', run, 'best', 'model.safetensors')

test.each(tinySetNames)('%s trains an epoch, strictly it does not', async (set) => {
  const root = join(folder, set)
  await writeTinySet(set, root)
  const name = readerOf(set)
  const { code, stdout, stderr } = await train(name, root, set)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    new RegExp(`^warning: ${name}: .*3 classes instead of \\d+, 9 training images instead of`, 'm'),
  )
  expect(existsSync(best(set))).toBe(true)

  const strict = await train(name, root, `${set}-strict`, '--data.strict', 'true')
  expect(strict.code).toBe(1)
  expect(strict.stderr).toMatch(/9 training images instead of \d+/)
  expect(existsSync(join(folder, 'runs', `${set}-strict`))).toBe(false)
})

test('a level of fgvc-aircraft and a CSV list train too', async () => {
  const root = join(folder, 'planes')
  await writeTinySet('fgvc-aircraft', root)
  const level = ['--data.level', 'manufacturer', '--data.cropStrip', 'false']
  const coarse = await train('fgvc-aircraft', root, 'coarse', ...level)
  expect(coarse).toMatchObject({ code: 0, stderr: '' })
  expect(coarse.stdout).toMatch(/2 classes instead of 30/)

  const list = join(root, 'planes.csv')
  const image = (id: string) => `data/images/${id}.jpg`
  const rows = [
    ['0056978', 'jet,train'],
    ['0155743', 'prop,train'],
    ['0254508', 'jet,train'],
    ['0353273', 'prop,test'],
  ].map(([id = '', rest]) => `${image(id)},${rest}`)
  writeFileSync(list, ['path,class,split', ...rows].join('\n'))
  const own = await train('csv', list, 'own-list', '--data.strict', 'true')
  expect(own).toMatchObject({ code: 0, stderr: '' })
  expect(existsSync(best('own-list'))).toBe(true)
})
