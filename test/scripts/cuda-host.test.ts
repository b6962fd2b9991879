// The archive for a CUDA machine without network and Node: what is in it, its size limit, and its
// runner, with stand-ins for Python, the GPU and the tools.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder, writeFile } from '../support/folders.js'

const root = join(import.meta.dirname, '../..')
const name = 'mcloss-cuda-host'
const bin = '/usr/bin:/bin'

function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { HOME: temporaryFolder(), PATH: bin, ...env },
    maxBuffer: 2 ** 26,
  })
  return { status, stdout, stderr }
}

const cudaHost = (...args: string[]) =>
  run(process.execPath, [join(root, 'scripts/dev/cuda-host.mjs'), ...args], {
    PATH: process.env.PATH ?? bin,
  })

function program(path: string, ...lines: string[]): string {
  writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'))
  chmodSync(path, 0o755)
  return path
}

describe('pack', () => {
  test.each([[[]], [['unpack']], [['pack', '--limit', 'x']], [['pack', '--uot', 'x']]])(
    '%j is bad usage',
    (args) => {
      const { status, stderr } = cudaHost(...args)
      expect(status).toBe(2)
      expect(stderr).toContain('Usage: npm run cuda-host')
    },
  )

  test('an archive over the limit is refused and leaves nothing', () => {
    const out = temporaryFolder()
    const { status, stderr } = cudaHost('pack', '--out', out, '--limit', '1')
    expect(stderr).toMatch(/^mcloss: cuda-host: the archive would be larger than 1 MB/m)
    expect(status).toBe(1)
    expect(readdirSync(out)).toEqual([])
  })

  test('the archive is below 60 MB, holds what the machine needs, and its Node runs', () => {
    const out = temporaryFolder()
    const { status, stdout, stderr } = cudaHost('pack', '--out', out)
    expect(status, stderr).toBe(0)
    const archive = join(out, `${name}.tar.xz`)
    expect(stdout).toContain(`${archive}: ${(statSync(archive).size / 1e6).toFixed(1)} MB`)
    expect(stdout).toContain(`bash ${name}/cuda-host-run.sh`)
    expect(statSync(archive).size).toBeLessThan(60e6)

    const { stdout: list } = run('tar', ['-xJvf', archive, '-C', out])
    const files = list.trim().split('\n')
    for (const file of [
      ...['cuda-host-run.sh', 'packed.txt', 'bin/node', 'CMakeLists.txt', 'dist/index.js'],
      ...['native/napi/addon.cpp', 'native/ops/gather_augment/cuda.cu', 'scripts/setup/build.mjs'],
      ...['test/native/ops_test.cpp', 'test/fixtures/README.md', 'bench/README.md'],
      ...['node_modules/vitest/vitest.mjs', 'node_modules/cmake-js/bin/cmake-js'],
      ...['node_modules/node-api-headers/include/node_api.h', 'node_modules/sharp/package.json'],
    ]) {
      expect(files, file).toContain(`${name}/${file}`)
    }
    const unwanted = /(^|\/)\.git\/|\/build\/Release|^[^/]+\/node_modules\/(@biomejs|typescript)\//
    expect(files.filter((file) => unwanted.test(file))).toEqual([])
    expect(files.filter((file) => !file.startsWith(`${name}/`))).toEqual([])
    const node = run(join(out, name, 'bin/node'), ['--version'])
    expect(node.stdout.trim()).toBe(process.version)
  })
})

/** A Python that answers like one whose torch is `torch`; it also runs what it is asked to exec. */
const python = (folder: string, torch: Record<string, string>) =>
  program(
    join(folder, 'python'),
    'case "$2" in *execvp*) shift 3; exec "$@" ;; esac',
    ...Object.entries({ torch: `${folder}/torch`, ...torch }).map(
      ([key, value]) => `echo '${key}=${value}'`,
    ),
  )

const gpu = {
  torch_version: '2.99.0+cu130',
  torch_cuda: '13.0',
  gpu_name: 'NVIDIA Stand-in',
  gpu_capability: '9.0',
}

/** What the runner takes from the system; a CUDA toolkit may lie beside them. */
const systemTools =
  'sh bash env cat cut date dirname basename grep head mkdir nproc rm sed tail tee timeout wc'.split(
    ' ',
  )

/** An unpacked archive whose Node and ops_test are `node` and `opsTest`, with a CUDA toolkit. */
function unpacked(node: string, opsTest = "echo '7 passed, 0 failed'") {
  const folder = temporaryFolder()
  const top = join(folder, name)
  mkdirSync(top)
  copyFileSync(join(root, 'scripts/dev/cuda-host-run.sh'), join(top, 'cuda-host-run.sh'))
  program(join(top, 'bin/node'), 'if [ "$1" = --version ]; then echo v20.0.0; exit; fi', node)
  program(join(top, 'build/ops_test'), opsTest)
  writeFile(join(top, 'bench/results.jsonl'))
  const cuda = join(folder, 'cuda')
  program(join(cuda, 'bin/nvcc'), "echo 'Cuda compilation tools, release 13.0, V13.0.48'")
  program(join(cuda, 'bin/compute-sanitizer'), "echo '========= ERROR SUMMARY: 0 errors'")
  const tools = join(folder, 'tools')
  for (const tool of ['cmake', 'c++', 'make']) program(join(tools, tool))
  for (const tool of systemTools) symlinkSync(`/usr/bin/${tool}`, join(tools, tool))
  const variables = { CUDA_HOME: cuda, PATH: tools }
  return {
    folder,
    top,
    run: (args: string[], env: Record<string, string> = {}) =>
      run('bash', [join(top, 'cuda-host-run.sh'), ...args], { ...variables, ...env }),
  }
}

describe('the runner names what is missing and writes nothing', () => {
  const host = unpacked(':')
  const without = (torch: Record<string, string>) => python(temporaryFolder(), { ...gpu, ...torch })
  const written = () => readdirSync(host.folder, { recursive: true }).sort()

  test.each([
    ['a Python', '/nowhere/python3', {}, /Python: \/nowhere\/python3 is not there/],
    [
      'torch',
      program(join(temporaryFolder(), 'python'), 'echo "No module named torch" >&2; exit 1'),
      {},
      /torch: .* says: No module named torch/,
    ],
    [
      'a CUDA torch',
      without({ torch_cuda: '', gpu_name: '' }),
      {},
      /a torch for CUDA: torch 2\.99\.0\+cu130 of .* is a build for the CPU/,
    ],
    ['a GPU', without({ gpu_name: '' }), {}, /a GPU: torch\.cuda\.is_available\(\)/],
    ['nvcc', without({}), { CUDA_HOME: '/nowhere' }, /nvcc: CUDA_HOME=\/nowhere has no bin\/nvcc/],
    ['a compiler', without({}), { CXX: 'no-such-c++' }, /a C\+\+ compiler: no-such-c\+\+/],
  ])('without %s', (_what, named, env, words) => {
    const files = written()
    const { status, stdout, stderr } = host.run(['--python', named], env)
    expect(stderr).toMatch(words)
    expect(stderr.match(/^ {2}- /gm)).toHaveLength(1)
    expect(stderr).toMatch(/Nothing was built or written/)
    expect(stdout).toBe('')
    expect(status).toBe(2)
    expect(written()).toEqual(files)
  })

  test('outside an unpacked archive', () => {
    const script = join(root, 'scripts/dev/cuda-host-run.sh')
    const { status, stderr } = run('bash', [script, '--python', '/nowhere/python3'])
    expect(stderr).toMatch(/no bin\/node beside this script/)
    expect(status).toBe(2)
  })

  test.each([[['--jobs', 'two']], [['--report']], [['--gpu']]])('%j is bad usage', (args) => {
    const { status, stderr } = host.run(args)
    expect(stderr).toContain('Usage: bash cuda-host-run.sh')
    expect(status).toBe(2)
  })
})

describe('the runner goes through its stages', () => {
  const tests = ['gpu', 'trainer']
  const benches = [
    ...['step-224', 'step-448', 'operators', 'mc-loss', 'step-mc', 'step-vgg16', 'step-compiled'],
    'profile',
    'memory',
  ]
  const sanitizers = ['memcheck', 'racecheck', 'synccheck', 'initcheck']
  const stages = ['build', ...tests, ...benches, 'ops_test', 'vitest', ...sanitizers]
  let report: string

  beforeEach(() => {
    report = join(temporaryFolder(), 'report')
  })

  /** The rows of report.md: stage, exit code, last line. */
  function rows() {
    const page = readFileSync(join(report, 'report.md'), 'utf8')
    return [...page.matchAll(/^\| ([\w-]+) \| (\d+|-) \| \d+ \| (.*) \|$/gm)].map((row) =>
      row.slice(1),
    )
  }
  const log = (file: string) => readFileSync(join(report, file), 'utf8')

  test('all pass: facts, a row and a log for each stage, exit code 0', () => {
    const host = unpacked('echo "$MCLOSS_PYTHON" "$npm_cmake_CMAKE_CUDA_ARCHITECTURES" "$@"')
    const named = python(host.folder, gpu)
    const { status, stdout } = host.run(['--python', named, '--report', report, '--jobs', '3'])
    expect(stdout).toContain(`${stages.length} passed, 0 failed, 0 not run`)
    expect(status).toBe(0)
    expect(rows().map(([stage, code]) => [stage, code])).toEqual(stages.map((s) => [s, '0']))
    const page = log('report.md')
    expect(page).toMatch(/^- GPU: NVIDIA Stand-in, compute capability 9\.0$/m)
    expect(page).toMatch(/^- CUDA toolkit: 13\.0, /m)
    const torch = `--libtorch ${host.folder}/torch`
    expect(log('01-build.log')).toContain(
      `${named} 90 scripts/setup/build.mjs ${torch} --tests --force`,
    )
    expect(log('02-gpu.log')).toContain('ops_test test/fixtures --gpu')
    expect(log('04-step-224.log')).toContain(
      `bench/train-step-gpu.mjs --python ${named} --size 224`,
    )
    expect(log('14-vitest.log')).toContain('run test/native')
  })

  test('a failed stage does not stop the next ones', () => {
    const host = unpacked(':', "echo '6 passed, 1 failed'; exit 1")
    const named = python(host.folder, gpu)
    const { status, stdout } = host.run(['--python', named, '--report', report, '--skip-bench'])
    expect(status).toBe(1)
    expect(rows()[1]).toEqual(['gpu', '1', '6 passed, 1 failed'])
    expect(rows().map(([stage]) => stage)).toEqual(
      stages.filter((stage) => !benches.includes(stage)),
    )
    expect(stdout).toContain('7 passed, 2 failed, 0 not run')
  })

  test('a second run goes on where the first one failed, or does all again', () => {
    const host = unpacked(':', '[ -e mended ] || { echo "6 passed, 1 failed"; exit 1; }')
    const named = python(host.folder, gpu)
    const args = ['--python', named, '--report', report, '--skip-bench']
    expect(host.run(args).status).toBe(1)
    writeFile(join(host.top, 'mended'))
    const { status, stdout } = host.run(args)
    expect(status).toBe(0)
    expect(stdout).toContain('9 passed, 0 failed, 0 not run')
    const again = (rows: string[][]) =>
      rows.filter(([, , line]) => !line?.startsWith('passed in a run before')).map(([row]) => row)
    expect(again(rows())).toEqual(['gpu', 'ops_test'])
    host.run([...args, '--again'])
    expect(again(rows())).toHaveLength(9)
  })

  test('a failed build does', () => {
    const host = unpacked('echo no such header; exit 1')
    const { status } = host.run(['--python', python(host.folder, gpu), '--report', report])
    expect(status).toBe(1)
    expect(rows()).toEqual([['build', '1', 'no such header']])
    expect(readdirSync(report).sort()).toEqual(['01-build.log', 'passed', 'report.md'])
  })

  test('without a sanitizer: not run, and said so', () => {
    const host = unpacked(':')
    const bare = temporaryFolder()
    program(join(bare, 'bin/nvcc'), "echo 'release 13.0,'")
    const named = python(host.folder, gpu)
    const args = ['--python', named, '--report', report, '--skip-bench']
    const { status } = host.run(args, { CUDA_HOME: bare })
    expect(status).toBe(0)
    expect(rows().slice(5)).toEqual(
      sanitizers.map((tool) => [tool, '-', 'not run: no compute-sanitizer on PATH']),
    )
  })

  test('a run out of time fails', () => {
    const host = unpacked(':')
    const named = python(host.folder, gpu)
    const { status } = host.run(['--python', named, '--report', report, '--minutes', '0'])
    expect(status).toBe(1)
    expect(rows()).toEqual([['build', '-', 'not run: the 0 minutes are over']])
  })

  test('--cpu needs neither GPU nor nvcc', () => {
    const host = unpacked(':')
    const named = python(host.folder, { torch_version: '2.99.0+cpu' })
    const args = ['--python', named, '--report', report, '--cpu']
    const { status } = host.run(args, { CUDA_HOME: '/nowhere' })
    expect(status).toBe(0)
    expect(rows().map(([stage]) => stage)).toEqual(['build', 'kernels', 'ops_test', 'vitest'])
  })
})
