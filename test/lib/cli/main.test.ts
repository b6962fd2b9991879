// The command line as a user meets it: exit codes, --json, signals, resume. Runs dist/cli/main.js itself.

import { execFile, spawn } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
const folder = temporaryFolder()
const configFile = join(folder, 'config.json')
const runDir = join(folder, 'runs', 'cli')

function mcloss(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((settle) => {
    execFile(cli, args, { cwd: folder }, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

beforeAll(async () => {
  writeFileSync(configFile, JSON.stringify({ ...toyConfig(folder), name: 'cli' }))
  const { code, stderr } = await mcloss('train', configFile, '--optim.epochs', '1')
  expect(stderr).toBe('')
  expect(code).toBe(0)
})

test('train leaves a run; eval and predict read it', async () => {
  const evaluated = await mcloss('eval', '--weights', runDir, '--json')
  expect(evaluated.code).toBe(0)
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ n: 15, top5: 1 })

  const root = join(folder, 'other-birds')
  expect(await mcloss('eval', '--weights', runDir, '--data.root', root)).toMatchObject({ code: 0 })
  expect(readdirSync(root)).toEqual(readdirSync(join(folder, 'birds')))

  const images = join(folder, 'birds', 'test')
  const first = readdirSync(images)[0] ?? ''
  const image = join(images, first, readdirSync(join(images, first))[0] ?? '')
  const predicted = await mcloss('predict', image, '--weights', runDir, '--top', '2', '--json')
  const [prediction] = JSON.parse(predicted.stdout)
  expect(prediction.path).toBe(image)
  expect(prediction.top).toHaveLength(2)
})

test('train --data.validation ends with the test split, and refuses what is no fraction', async () => {
  const args = ['train', configFile, '--optim.epochs', '1', '--name', 'aside', '--data.validation']
  const { code, stdout } = await mcloss(...args, '0.5')
  expect(code).toBe(0)
  const lines = stdout.trim().split('\n').slice(-4)
  const accuracies = 'top-1 .* %, top-5 100.00 %, mean per class .* %'
  for (const [at, pattern] of [
    `best  epoch 1: ${accuracies} \\(picked on the validation images\\)`,
    `last  epoch 1: ${accuracies} \\(on the validation images\\)`,
    `test  epoch 1: ${accuracies} \\(the best epoch on the test split, read once\\)`,
    `run   ${join(folder, 'runs', 'aside')}`,
  ].entries()) {
    expect(lines[at]).toMatch(new RegExp(`^${pattern}$`))
  }
  const evaluated = await mcloss('eval', '--weights', join(folder, 'runs', 'aside'))
  expect(evaluated.stdout).toMatch(new RegExp(`\\n${accuracies}\\n15 images\\n$`))
  expect(await mcloss(...args, '1')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('data.validation'),
  })
})

test('groups shows the split of CUB at 2048 channels', async () => {
  const { code, stdout } = await mcloss('groups', '--channels', '2048', '--classes', '200')
  expect(code).toBe(0)
  expect(stdout).toMatch(/152 classes of 10: class 0\.\.151, channels 0\.\.1519/)
  expect(stdout).toMatch(/48 classes of 11: class 152\.\.199, channels 1520\.\.2047/)
})

test('data check reports, and exits with 1 where a file is unreadable', async () => {
  const root = join(folder, 'checked')
  cpSync(join(folder, 'birds'), root, { recursive: true })
  const sound = await mcloss('data', 'check', 'image-folder', root)
  expect(sound).toMatchObject({ code: 0, stderr: '' })
  expect(sound.stdout).toMatch(/^train +24 images, 8 in every class$/m)

  const test = join(root, 'test')
  const name = readdirSync(test)[0] ?? ''
  const empty = join(test, name, readdirSync(join(test, name))[0] ?? '')
  writeFileSync(empty, '')
  const broken = await mcloss('data', 'check', 'image-folder', root, '--json')
  expect(broken.code).toBe(1)
  expect(JSON.parse(broken.stdout)).toMatchObject({
    ok: false,
    classes: 3,
    unreadable: [{ path: empty, reason: 'is empty' }],
  })
})

test('data show writes a sheet of a configuration, or of data flags alone', async () => {
  const sheet = join(folder, 'sheet.png')
  const shown = await mcloss('data', 'show', configFile, '--out', 'sheet.png', '--count', '3')
  expect(shown).toMatchObject({ code: 0, stdout: `${sheet}\n` })
  const first = readFileSync(sheet)
  expect(first.subarray(1, 4).toString()).toBe('PNG')
  const root = join(folder, 'birds')
  const flags = ['--data.name', 'image-folder', '--data.root', root, '--data.resize', '64']
  const same = ['--seed', '1', '--count', '3', '--out', 'sheet.png']
  expect(await mcloss('data', 'show', ...flags, ...same)).toMatchObject({ code: 0 })
  expect(readFileSync(sheet).equals(first)).toBe(true)
  for (const wrong of [['--split', 'val'], ['--count', '0'], ['--epoch', '-1'], []]) {
    const out = wrong.length > 0 ? ['--out', 'sheet.png'] : []
    expect(await mcloss('data', 'show', ...flags, ...out, ...wrong)).toMatchObject({ code: 2 })
  }
  const nowhere = await mcloss('data', 'show', ...flags, '--out', 'no/such/folder/sheet.png')
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('no/such/folder') })
})

test('bench measures a file, or flags alone, without data', async () => {
  const short = ['--rounds', '1', '--steps', '1', '--json']
  const root = ['--data.root', join(folder, 'nowhere')]
  const file = await mcloss('bench', configFile, ...short, '--no-alternatives', ...root)
  expect(file).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(file.stdout)).toMatchObject({
    classes: 3,
    alternatives: [],
    own: { turns: [{}] },
  })
  const model = ['--model.backbone', 'toy', '--model.head', 'linear', '--data.resize', '32']
  const rest = ['--optim.batchSize', '4', '--classes', '6', '--threads', '1']
  const flags = await mcloss('bench', ...model, ...rest, ...short)
  expect(flags).toMatchObject({ code: 0, stderr: '' })
  const { classes, alternatives } = JSON.parse(flags.stdout)
  expect(classes).toBe(6)
  expect(alternatives[0].change).toEqual({ channelsLast: false })
  expect(await mcloss('bench', ...rest)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/model\.backbone/),
  })
})

test('data prepare decodes a configuration, or data flags alone, and verifies what is there', async () => {
  const data = ['--data.name', 'image-folder', '--data.root', join(folder, 'birds')]
  const flags = [...data, '--data.resize', '40', '--out', join(folder, 'prepared')]
  const first = await mcloss('data', 'prepare', ...flags)
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toContain('decoded train  24/24 images')
  const again = await mcloss('data', 'prepare', ...flags, '--verify')
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect(again.stdout).toMatch(/^1 MB decoded, every checksum right\n/)
  const stores = again.stdout.trim().split('\n').slice(1)
  expect(stores).toHaveLength(2)
  // The run before has decoded what its own configuration needs.
  const ofRun = await mcloss('data', 'prepare', configFile)
  expect(ofRun.stdout).not.toContain('decoded train')
})

test('bad usage exits with 2, failures with 1, each with what to do', async () => {
  expect(await mcloss('trian')).toMatchObject({ code: 2, stderr: expect.stringMatching(/train/) })
  expect(await mcloss('train', configFile, '--optim.lrr', '1')).toMatchObject({ code: 2 })
  expect(await mcloss('train', configFile, '--optim.lr', 'fast')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/optim\.lr/),
  })
  expect(await mcloss('groups', '--channels', '3', '--classes', '5')).toMatchObject({ code: 1 })
  expect(await mcloss('eval', '--weights', join(folder, 'none'))).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/none/),
  })
  expect(await mcloss('--version')).toMatchObject({ code: 0 })
})

test('a reader that goes away does not end the run', async () => {
  const args = ['train', configFile, '--name', 'unread', '--optim.epochs', '3']
  const child = spawn(process.execPath, [cli, ...args], { cwd: folder })
  child.stdout.once('data', () => child.stdout.destroy())
  expect(await new Promise((settle) => child.on('exit', settle))).toBe(0)
  expect(readdirSync(join(folder, 'runs', 'unread'))).toContain('best')
})

test('evaluation and prediction end at the first signal', async () => {
  const child = spawn(process.execPath, [cli, 'eval', '--weights', runDir], { cwd: folder })
  await new Promise((settle) => setTimeout(settle, 200))
  child.kill('SIGINT')
  const signal = await new Promise((settle) => child.on('exit', (_, name) => settle(name)))
  expect(signal).toBe('SIGINT')
})

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} saves, exits with ${code}, and --resume goes on at that step`, async () => {
    const name = `signal-${code}`
    const args = ['train', configFile, '--name', name, '--optim.epochs', '400']
    const child = spawn(process.execPath, [cli, ...args], { cwd: folder })
    let output = ''
    child.stderr.on('data', (data) => {
      output += data
    })
    const exited = new Promise((settle) => child.on('exit', settle))
    const trained = new Promise<void>((settle) => {
      let shown = ''
      child.stdout.on('data', (data) => {
        shown += data
        if (/epoch 2\/400 step/.test(shown)) settle()
      })
    })
    await Promise.race([trained, exited])
    child.kill(signal)
    setTimeout(() => child.kill(signal), 10) // as npx and timeout do
    const exit = await exited
    expect(exit, output).toBe(code)
    const [, step] = /step (\d+); saved/.exec(output) ?? []
    expect(Number(step)).toBeGreaterThan(0)

    const epochs = String(Math.ceil((Number(step) + 1) / 3))
    const path = join(folder, 'runs', name)
    const resumed = await mcloss('train', '--resume', path, '--optim.epochs', epochs)
    expect(resumed.stderr).toBe('')
    expect(resumed.code).toBe(0)
    expect(resumed.stdout).toMatch(new RegExp(`step ${step}\\b`))
  })
}
