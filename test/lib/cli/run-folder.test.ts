// Run folders as a user meets them: on a disk without links, and asked for by two processes at once.
// Runs dist/cli/main.js itself.

import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const root = join(import.meta.dirname, '../../..')
const cli = join(root, 'dist/cli/main.js')
const folder = temporaryFolder()
const configFile = join(folder, 'config.json')
const HANG_MS = 300_000

function mcloss(
  args: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((settle) => {
    execFile(cli, args, { cwd: folder, env }, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

beforeAll(() => {
  writeFileSync(configFile, JSON.stringify(toyConfig(folder)))
})

const hasGcc = spawnSync('gcc', ['--version']).status === 0
test.skipIf(!hasGcc)(
  `a disk that refuses symlink(): trained, evaluated, resumed${hasGcc ? '' : ' (no gcc is here)'}`,
  async () => {
    const library = join(folder, 'no-links.so')
    const source = join(root, 'test/support/no-links.c')
    execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source])
    const env = { ...process.env, LD_PRELOAD: library }
    const trained = await mcloss(['train', configFile, '--name', 'linkless'], env)
    expect(trained.code, trained.stderr).toBe(0)
    expect(trained.stdout + trained.stderr).toMatch(/takes no symbolic links/)
    const runDir = join(folder, 'runs/linkless')
    expect(lstatSync(join(runDir, 'best')).isFile()).toBe(true)

    const images = join(folder, 'birds/test')
    const name = readdirSync(images)[0] ?? ''
    const image = join(images, name, readdirSync(join(images, name))[0] ?? '')
    const evaluated = await mcloss(['eval', '--weights', runDir, '--json'])
    expect(evaluated).toMatchObject({ code: 0, stderr: '' })
    const predicted = await mcloss(['predict', image, '--weights', join(runDir, 'best')])
    expect(predicted).toMatchObject({ code: 0, stderr: '' })
    const longer = ['--resume', join(runDir, 'last'), '--optim.epochs', '3']
    expect(await mcloss(['train', ...longer], env)).toMatchObject({ code: 0 })
    const weights = ['--model.weights', join(runDir, 'best/model.safetensors')]
    const fineTuned = await mcloss(['train', configFile, '--name', 'tuned', ...weights])
    expect(fineTuned).toMatchObject({ code: 0, stderr: '' })
  },
)

test('of two resumes of one run at the same time, one is told who has it', async () => {
  const trained = await mcloss(['train', configFile, '--name', 'twice', '--optim.epochs', '1'])
  expect(trained).toMatchObject({ code: 0 })
  const runDir = join(folder, 'runs/twice')
  const both = [0, 1].map(() => {
    const args = ['train', '--resume', runDir, '--optim.epochs', '1000']
    const child = spawn(cli, args, { cwd: folder })
    let output = ''
    child.stderr.on('data', (data) => {
      output += data
    })
    child.stdout.resume()
    const ended = new Promise<{ child: typeof child; code: number; output: string }>((settle) => {
      child.on('close', (code) => settle({ child, code: code ?? -1, output }))
    })
    return { child, ended }
  })
  const refused = await Promise.race(both.map(({ ended }) => ended))
  expect(refused.code).toBe(1)
  const other = both.find(({ child }) => child !== refused.child)
  expect(refused.output).toContain(`${runDir} is in use by process ${other?.child.pid} on `)
  const starts = () =>
    readFileSync(join(runDir, 'metrics.jsonl'), 'utf8').match(/"type":"start"/g) ?? []
  await vi.waitFor(() => expect(starts()).toHaveLength(2), HANG_MS) // only then is it in its steps
  other?.child.kill('SIGTERM')
  expect((await other?.ended)?.code).toBe(143)
  expect(starts()).toHaveLength(2)
  expect(readdirSync(runDir)).not.toContain('claim.json')
})
