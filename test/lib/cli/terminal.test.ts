// What a terminal, a log or a shell does to a command: hang-ups, full disks, names that are no plain
// text, a folder that is gone. Runs dist/cli/main.js itself.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { plain, plainLines } from '../../../lib/cli/plain.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
const folder = temporaryFolder()
const configFile = join(folder, 'config.json')
const runOf = (name: string) => join(folder, 'runs', name)
const trainArgs = (name: string, epochs: number) =>
  ['train', configFile, '--name', name, '--optim.epochs', String(epochs)] as const

function mcloss(args: readonly string[], stdout: number | 'pipe' = 'pipe') {
  const stdio = ['ignore', stdout, 'pipe'] as const
  return spawnSync(process.execPath, [cli, ...args], {
    cwd: folder,
    encoding: 'utf8',
    stdio: [...stdio],
  })
}

async function epochs(name: string, count: number, child: ChildProcess): Promise<void> {
  const lines = () => {
    const text = existing(join(runOf(name), 'metrics.jsonl'))
    return text.split('"type":"epoch"').length - 1
  }
  while (lines() < count && child.exitCode === null) await setTimeout(20)
}

function existing(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

beforeAll(() => {
  writeFileSync(configFile, JSON.stringify(toyConfig(folder)))
})

test('a log on a full disk does not end a run, and is told at its end', () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = mcloss(trainArgs('full', 2), full)
  closeSync(full)
  expect(stderr).toMatch(/^mcloss: not all .* printed .* the disk is full \(ENOSPC\)\..*\n$/)
  expect(status).toBe(1)
  expect(readdirSync(runOf('full'))).toContain('best')
})

test('without a terminal, as under nohup, a hang-up does not end a run', async () => {
  const child = spawn(process.execPath, [cli, ...trainArgs('nohup', 4000)], {
    cwd: folder,
    stdio: 'ignore',
  })
  const exited = new Promise((settle) => child.on('exit', settle))
  await epochs('nohup', 1, child)
  child.kill('SIGHUP')
  await epochs('nohup', 4, child)
  child.kill('SIGTERM')
  expect(await exited).toBe(143)
})

const hasScript = spawnSync('script', ['--version']).status === 0

const why = hasScript ? '' : ' (no program script is here)'

test.skipIf(!hasScript)(`a terminal that hangs up saves a run${why}`, async () => {
  const command = [process.execPath, cli, ...trainArgs('hangup', 4000)].join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder, stdio: 'ignore' })
  const exited = new Promise((settle) => child.on('exit', settle))
  await epochs('hangup', 1, child)
  const { pid } = JSON.parse(readFileSync(join(runOf('hangup'), 'claim.json'), 'utf8'))
  process.kill(pid, 'SIGHUP')
  expect(await exited).toBe(129)
  expect(readdirSync(runOf('hangup'))).toContain('last')
})

test('a folder that is gone is told, and does not abort the process', () => {
  mcloss(trainArgs('sound', 1))
  const gone = join(folder, 'gone')
  mkdirSync(gone)
  const command = `rmdir ../gone; exec "$@"`
  const predict = ['predict', join(folder, 'birds'), '--weights', runOf('sound')]
  const args = ['-c', command, 'sh', process.execPath, cli, ...predict]
  const { status, stderr } = spawnSync('sh', args, { cwd: gone, encoding: 'utf8' })
  expect(stderr).toMatch(/folder that this process runs in: nothing is there.*another folder\.\n$/)
  expect(status).toBe(1)
})

test('a home sign that the shell has left is refused, and no folder is made', () => {
  for (const args of [
    [...trainArgs('home', 1), '--out=~/runs'],
    ['weights', 'convert', '~/a.pth', 'b.safetensors'],
    ['demo', '--out=~'],
  ]) {
    const { status, stderr } = mcloss(args)
    expect(stderr).toMatch(/left '~.*' as it is: write \//)
    expect(status).toBe(2)
  }
  expect(readdirSync(folder)).not.toContain('~')
})

test("a name's control characters do not reach the terminal; letters' joiners do", () => {
  expect(plain('a\u001b[31m\nb\u202e')).toBe('a\\x1b[31m\\x0ab\\x202e')
  expect(plain('می\u200cخواهم 👩\u200d🔬')).toBe('می\u200cخواهم 👩\u200d🔬')
  expect(plainLines('a\u001b\nb')).toBe('a\\x1b\nb')
  const birds = join(folder, 'birds', 'test')
  const species = join(birds, readdirSync(birds)[0] ?? '')
  const bird = join(species, readdirSync(species)[0] ?? '')
  const odd = join(folder, 'odd\u001b[2J.png')
  execFileSync('cp', [bird, odd])
  const { stdout, stderr } = mcloss(['predict', odd, `${odd}.gone`, '--weights', runOf('sound')])
  expect(stdout).toContain('odd\\x1b[2J.png\n')
  expect(stderr).toContain('odd\\x1b[2J.png.gone')
})
