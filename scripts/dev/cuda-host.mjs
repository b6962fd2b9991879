// @ts-check
// `npm run cuda-host -- pack`: one archive with all that a CUDA machine without network and without
// Node needs to build, test and measure mcloss: this Node, the packages, the sources, dist/. There
// cuda-host-run.sh, at its top, does the work. cmake-js takes Node's headers from node-api-headers,
// which is one of the packages.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { read } from '../setup/child.mjs'
import { packageJson, packageRoot } from '../setup/paths.mjs'
import { reasonOf, runAsProgram, SetupError } from '../setup/setup-error.mjs'

const usage = `Usage: npm run cuda-host -- pack [--out DIR] [--limit MB]
  --out DIR    where the archive goes (default: build/cuda-host)
  --limit MB   the largest archive the way to the machine takes (default: 60)
`
const name = 'mcloss-cuda-host'
const runner = 'cuda-host-run.sh'

/** Packages that neither build, test/native nor benches load, and what TypeScript and debuggers read; vite
 * loads lightningcss for style sheets alone. */
const leftOut = [
  /^node_modules\/(@biomejs|@typescript|@types|typescript|clang-format-node|lightningcss[^/]*)\//,
  /^node_modules\/(onnxruntime-[^/]*|playwright-core|axe-core|hono|@hono)\//,
  /musl/,
  /\.([cm]?ts|map)$/,
]

/**
 * @param {object} options
 * @param {string} options.out
 * @param {number} options.limit MB
 * @returns {Promise<string>} the archive
 */
export async function pack({ out, limit }) {
  refuseSharedNode()
  const sources = await sourceFiles()
  const packages = packageFiles()
  const made = mkdtempSync(join(tmpdir(), 'mcloss-cuda-host-'))
  const archive = join(out, `${name}.tar.xz`)
  try {
    await Promise.all([copyNode(made), compileTypeScript(made)])
    copyFileSync(join(packageRoot, 'scripts/dev', runner), join(made, runner))
    writeFileSync(join(made, 'packed.txt'), `${await origin()}\n`)
    mkdirSync(out, { recursive: true })
    await compress(archive, limit, made, [...sources, ...packages])
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
  return archive
}

/** Such a Node runs only beside the libraries of its distribution. */
function refuseSharedNode() {
  const shared = Object.entries(process.config.variables)
    .filter(([key, value]) => key.startsWith('node_shared') && value === true)
    .map(([key]) => key)
  if (shared.length === 0) return
  throw new SetupError(
    `mcloss: cuda-host needs a Node that carries its libraries, but ${process.execPath} shares ` +
      `them with this system (${shared.join(', ')}). Run it with a Node from nodejs.org.`,
  )
}

/** What git tracks and what it does not know yet; ignored files stay. */
async function sourceFiles() {
  const unknown = await listed('--others', '--exclude-standard')
  if (unknown.length > 0) {
    process.stdout.write(`mcloss: not in git yet, packed too: ${unknown.join(' ')}\n`)
  }
  return [...new Set([...(await listed('--cached')), ...unknown])]
}

/** @param {string[]} which */
async function listed(...which) {
  const files = (await git('ls-files', '-z', ...which)).split('\0')
  // A link to node_modules is not ignored as the folder is. The runner goes to the top.
  const elsewhere = ['', 'node_modules', `scripts/dev/${runner}`]
  return files.filter((file) => !elsewhere.includes(file) && isThere(file))
}

/**
 * A file deleted but not yet in a commit is still listed; a link counts, wherever it points.
 * @param {string} file
 */
function isThere(file) {
  return lstatSync(join(packageRoot, file), { throwIfNoEntry: false }) !== undefined
}

/** @param {string[]} args */
async function git(...args) {
  const { code, stdout, stderr } = await read('git', args, { cwd: packageRoot })
  if (code === 0) return stdout
  throw new SetupError(
    `mcloss: cuda-host packs a git clone of mcloss, but in ${packageRoot} git ${args[0]} says: ` +
      `${stderr.trim()}. Run it in a clone.`,
  )
}

/** Files of the installed packages; each package's own node_modules is in the lock file too. */
function packageFiles() {
  const lock = join(packageRoot, 'node_modules/.package-lock.json')
  if (!existsSync(lock)) {
    throw new SetupError(
      `mcloss: cuda-host packs the installed packages, but ${lock} is not there. ` +
        'Run: npm install --ignore-scripts',
    )
  }
  /** @type {{packages: Record<string, unknown>}} */
  const { packages } = JSON.parse(readFileSync(lock, 'utf8'))
  return Object.keys(packages)
    .filter((path) => existsSync(join(packageRoot, path)))
    .flatMap(filesOfPackage)
    .filter((file) => !leftOut.some((pattern) => pattern.test(file)))
}

/** @param {string} path @returns {string[]} */
function filesOfPackage(path) {
  return readdirSync(join(packageRoot, path), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return []
    const file = `${path}/${entry.name}`
    return entry.isDirectory() ? filesOfPackage(file) : [file]
  })
}

/** Without symbols where strip can: a tenth smaller. @param {string} folder */
async function copyNode(folder) {
  const node = join(folder, 'bin/node')
  mkdirSync(join(folder, 'bin'))
  const { code } = await read('strip', ['-o', node, process.execPath])
  if (code !== 0) copyFileSync(process.execPath, node)
}

/** dist/ of these sources, whatever lies in dist/. @param {string} folder */
async function compileTypeScript(folder) {
  const tsc = join(packageRoot, 'node_modules/.bin/tsc')
  const args = ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')]
  const { code, stdout, stderr } = await read(tsc, args, { cwd: packageRoot })
  if (code === 0) return
  throw new SetupError(`mcloss: cuda-host: tsc failed with code ${code}:\n${stdout}${stderr}`)
}

/** The line that says in each report what was packed. */
async function origin() {
  const commit = (await git('rev-parse', '--short', 'HEAD')).trim()
  const changes = (await git('status', '--porcelain')).split('\n').length - 1
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ')
  return (
    `mcloss ${packageJson.version}, commit ${commit}` +
    `${changes ? ` and ${changes} changed files` : ''}, packed ${date} UTC`
  )
}

/**
 * Writes `archive`, which appears only when it is complete and within the limit.
 * @param {string} archive
 * @param {number} limit MB
 * @param {string} made a folder that goes in whole
 * @param {string[]} files of packageRoot
 */
async function compress(archive, limit, made, files) {
  const unfinished = `${archive}.part`
  const args = [
    // Level 0: a quarter larger than level 6 in a tenth of its time, and small enough.
    ...['-c', '-f', '-', '-I', 'xz -0 -T0', '--transform', `s,^,${name}/,S`],
    ...['--owner=0', '--group=0', '--numeric-owner'],
    ...['-C', made, ...readdirSync(made), '-C', packageRoot, '--null', '-T', '-'],
  ]
  const tar = spawn('tar', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(tar, 'close').catch((error) => [reasonOf(error)])
  tar.stdin.on('error', () => {}) // tar's exit code says more
  tar.stdin.end(files.join('\0'))
  try {
    await Promise.all([ended, pipeline(tar.stdout, atMost(limit), createWriteStream(unfinished))])
    const [code] = await ended
    if (code !== 0) {
      throw new SetupError(
        `mcloss: cuda-host: tar ended with ${code}, see above; it needs GNU tar and xz.`,
      )
    }
    renameSync(unfinished, archive)
  } finally {
    tar.kill()
    rmSync(unfinished, { force: true })
  }
}

/** @param {number} limit MB */
function atMost(limit) {
  let size = 0
  return new Transform({
    transform(bytes, _encoding, done) {
      size += bytes.length
      if (size <= limit * 1e6) return done(null, bytes)
      done(
        new SetupError(
          `mcloss: cuda-host: the archive would be larger than ${limit} MB; nothing is left of it. ` +
            'Look for large files of yours in the clone (git status), or name what the way to the ' +
            'machine takes: --limit MB',
        ),
      )
    },
  })
}

/** @param {string[]} args */
function optionsOf(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: 'string', default: join(packageRoot, 'build/cuda-host') },
        limit: { type: 'string', default: '60' },
      },
    })
    const limit = Number(values.limit)
    if (positionals.join() !== 'pack' || !(limit > 0)) return undefined
    return { out: resolve(values.out), limit }
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`)
    return undefined
  }
}

await runAsProgram(import.meta.url, async (args) => {
  const options = optionsOf(args)
  if (!options) {
    process.stderr.write(usage)
    return 2
  }
  const archive = await pack(options)
  process.stdout.write(
    [
      `${archive}: ${(statSync(archive).size / 1e6).toFixed(1)} MB`,
      'Copy it to the machine with the GPU, then there:',
      `  tar -xJf ${name}.tar.xz        (without xz: python3 -m tarfile -e ${name}.tar.xz)`,
      `  bash ${name}/${runner}`,
      `The report is then in ${name}/report/report.md.\n`,
    ].join('\n'),
  )
  return 0
})
