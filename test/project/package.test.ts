// The package as a user gets it: packed, installed into an empty project; then a typed script is
// checked, compiled and run there, and then the guide. With MCLOSS_SOAK the installation builds the add-on. Else
// it gets the one of this clone: its own comparison says whether that is of the same sources.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeDrawnBirds } from '../../lib/data/datasets/drawn-birds.js'
import { fakePython, temporaryFolder } from '../support/folders.js'
import { followGuide } from '../support/guide.js'
import { smallConfig, writeModel } from '../support/untrained-model.js'

const root = join(import.meta.dirname, '../..')
const project = temporaryFolder()
const builds = process.env.MCLOSS_SOAK === '1'
const install = ['install', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund']
const hangs = 60 * 60_000 // ms; a build takes 3 minutes of a quiet machine

const script = `import { defineConfig, train, type RunEvent } from 'mcloss'

const config = defineConfig({
  data: { name: 'image-folder', root: 'photos', resize: 48, crop: 32 },
  model: { backbone: 'toy', head: 'linear', channelsPerClass: 2 },
  loss: { name: 'mc', mu: 0.5, lambda: 1 },
  optim: { lr: 0.05, epochs: 1, batchSize: 4 },
  threads: 1,
})
const run = train(config)
const events: RunEvent[] = []
for await (const event of run) events.push(event)
const { best } = await run.result
console.log(JSON.stringify({ events: events.length, top1: best.top1, checkpoint: best.checkpoint }))
`

function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: project,
    encoding: 'utf8',
    // Without what npm hands to the scripts it runs, this test's own npm is one like the user's.
    env: { ...withoutNpm(process.env), ...env },
    maxBuffer: 2 ** 26,
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`)
  return stdout
}

function withoutNpm(env: NodeJS.ProcessEnv) {
  const own = (name: string) => /^npm_(package|lifecycle|command)/.test(name)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own(name)))
}

async function writePhotos() {
  for (const [split, count] of [
    ['train', 4],
    ['test', 2],
  ] as const) {
    for (const [label, name] of ['red', 'green', 'blue'].entries()) {
      const folder = join(project, 'photos', split, name)
      mkdirSync(folder, { recursive: true })
      for (let index = 0; index < count; index++) {
        const background = [40 + 10 * index, 40, 40 + 5 * index]
        background[label] = 220
        const [r = 0, g = 0, b = 0] = background
        await sharp({ create: { width: 64, height: 48, channels: 3, background: { r, g, b } } })
          .jpeg()
          .toFile(join(folder, `${index}.jpg`))
      }
    }
  }
}

/** This clone's, which costs less than to install it. */
function link(name: string) {
  const place = join(project, 'node_modules', name)
  mkdirSync(dirname(place), { recursive: true })
  if (!existsSync(place)) symlinkSync(join(root, 'node_modules', name), place)
}

let packed: { filename: string; files: { path: string }[] }

beforeAll(async () => {
  // dist/ is built by npm test; the prepare script would rewrite it under the other tests.
  const pack = ['pack', root, '--json', '--ignore-scripts', '--pack-destination', project]
  packed = JSON.parse(run('npm', pack))[0]
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  writeFileSync(join(project, 'train.ts'), script)
  await writePhotos()
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

test('the package holds what an installation needs, and no more', () => {
  const paths = packed.files.map(({ path }) => path)
  for (const path of [
    ...['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'CMakeLists.txt', 'LICENSE'],
    ...[
      'native/napi/addon.cpp',
      'scripts/setup/install.mjs',
      'scripts/setup/setup.mjs',
      'scripts/setup/proxy.mjs',
      'scripts/setup/zip.mjs',
    ],
    ...['docs/config.schema.json', 'examples/train.ts', 'lib/page/report.js', 'lib/page/style.css'],
  ]) {
    expect(paths, path).toContain(path)
  }
  expect(
    paths.filter((path) => /^(lib\/(?!page\/)|(test|bench|build|runs|node_modules)\/)/.test(path)),
  ).toEqual([])
})

test('installed into an empty project it has its add-on, its types hold, and it trains', {
  timeout: hangs,
}, () => {
  const record = JSON.parse(readFileSync(join(root, 'build/libtorch.json'), 'utf8'))
  const tarball = join(project, packed.filename)
  const scripts = builds ? '--foreground-scripts' : '--ignore-scripts'
  run('npm', [...install, tarball, scripts], { LIBTORCH: record.path })

  const installed = join(project, 'node_modules')
  const lock = JSON.parse(readFileSync(join(installed, '.package-lock.json'), 'utf8'))
  for (const name of ['vitest', '@biomejs/biome', 'typescript', 'hono', 'onnxruntime-web']) {
    expect(Object.keys(lock.packages)).not.toContain(`node_modules/${name}`)
  }
  const folder = join(installed, 'mcloss/build')
  if (!builds) {
    cpSync(join(root, 'build/Release'), join(folder, 'Release'), { recursive: true })
    // As an installation would have recorded it: a warning stops only a clone's build.
    const recorded = { ...record, source: 'LIBTORCH', defines: {}, programs: {} }
    writeFileSync(join(folder, 'libtorch.json'), JSON.stringify(recorded))
  }
  const use = JSON.parse(readFileSync(join(folder, 'libtorch.json'), 'utf8'))
  expect(use).toMatchObject({ path: record.path, version: record.version, source: 'LIBTORCH' })

  const strict = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--typeRoots']
  const types = [...strict, join(root, 'node_modules/@types'), '--types', 'node', 'train.ts']
  const tsc = join(root, 'node_modules/.bin/tsc')
  run(tsc, ['--noEmit', ...types])
  run(tsc, types)

  // LibTorch is found by the path built in: neither LIBTORCH nor LD_LIBRARY_PATH nor a Python.
  const bare = { LIBTORCH: '', LD_LIBRARY_PATH: '', PYTHONPATH: '' }
  const result = JSON.parse(run(process.execPath, ['train.js'], bare).trim())
  expect(result.events).toBeGreaterThan(0)
  expect(result.top1).toBeGreaterThanOrEqual(0)
  const weights = readFileSync(resolve(project, result.checkpoint, 'model.safetensors'))
  expect(weights.length).toBeGreaterThan(100)

  const mcloss = join(installed, '.bin/mcloss')
  expect(JSON.parse(run(mcloss, ['doctor', '--json'], bare)).ok).toBe(true)
  // A second install builds nothing.
  const again = join(installed, 'mcloss/scripts/setup/install.mjs')
  expect(run(process.execPath, [again], { LIBTORCH: record.path })).toContain('nothing to build')
})

test('it does all of the guide, command by command, and what the other example needs', {
  timeout: hangs,
}, async () => {
  const birds = join(project, 'birds')
  await writeDrawnBirds({ root: birds, classes: 3, trainPerClass: 10, testPerClass: 1, size: 48 })
  const photos = join(project, 'photos')
  rmSync(photos, { recursive: true })
  mkdirSync(photos)
  renameSync(join(birds, 'train'), join(photos, 'train'))
  mkdirSync(join(project, 'new'))
  const [name] = readdirSync(join(birds, 'test')) as [string]
  renameSync(join(birds, 'test', name, '000.jpg'), join(project, 'new/first.jpg'))
  const model = { backbone: 'toy', head: 'two-layer' } as const
  const weights = await writeModel(join(project, 'toy'), { ...smallConfig(), model })
  renameSync(weights, join(project, 'resnet18.tv_in1k')) // a file of that name comes first

  const typed: string[] = []
  const printed = await followGuide(project, {
    install(command) {
      typed.push(command)
      const packages = /^npm install (.*)$/.exec(command)?.[1]?.split(' ') ?? []
      const others = packages.filter((name) => name !== 'mcloss')
      if (builds && others.length > 0) run('npm', [...install, ...others])
      else for (const name of others) link(name)
    },
    configured({ data, model, optim, loss }) {
      expect(model).toMatchObject({ backbone: 'resnet18', weights: 'resnet18.tv_in1k' })
      const small = { ...data, resize: 44, crop: 40 }
      const toy = { ...model, backbone: 'toy' }
      return { threads: 1, data: small, model: toy, loss, optim: { ...optim, epochs: 2 } }
    },
  })
  expect(typed).toEqual([
    ...['npm init --yes', 'npm install mcloss', 'npx mcloss setup --fetch'],
    'npx mcloss weights fetch resnet18.tv_in1k',
    ...['npm install hono @hono/node-server', 'npm install onnxruntime-web protobufjs'],
  ])
  const outputOf = (words: string) =>
    [...printed].find(([command]) => command.includes(words))?.[1] ?? ''
  expect(outputOf('data check')).toMatch(/^train +24 images.*^test +6 images.*^result +ok$/ms)
  expect(outputOf('mcloss train')).toMatch(/taken: .* of the backbone.*^test +epoch/ms)
  const [first = '', ...answers] = outputOf('mcloss predict').trim().split('\n')
  expect([first, answers.length]).toEqual(['new/first.jpg', 3])
  const page = readFileSync(join(project, 'maps/index.html'), 'utf8')
  const [top] = answers.map((line) => line.trim().split(/ {2,}/).at(-1))
  expect(page).toContain(`Predicted: <bdi class="name">${top}</bdi>`)
  expect(readFileSync(join(project, 'runs/photos/report.html'), 'utf8')).toContain('</html>')
  expect(outputOf('server.mjs')).toContain('<form')
  expect(JSON.parse(outputOf('curl')).top).toHaveLength(3)
  expect(outputOf('serve.mjs')).toContain('page.js')

  const example = join(project, 'node_modules/mcloss/examples/worker/main.mjs')
  const answer = run(process.execPath, [example, 'runs/photos', 'new/first.jpg'])
  expect(answer).toMatch(/^new\/first\.jpg \S+ \d\.\d{3}\n$/)
})

test('without LibTorch the installation ends well', () => {
  const home = temporaryFolder()
  const installed = join(project, 'node_modules/mcloss/scripts/setup/install.mjs')
  const PATH = fakePython(join(home, 'bin'))
  const output = run(process.execPath, [installed], {
    HOME: home,
    XDG_CACHE_HOME: home,
    PATH,
    LIBTORCH: '',
  })
  expect(output).toContain('npx mcloss setup --fetch')
})
