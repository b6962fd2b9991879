// @ts-check
// Makes a clone ready: dependencies, LibTorch, the add-on, dist/. What is ready is left alone, so a
// second call takes a fraction of a second. Before npm install has run it may use only node's
// modules.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build, recordedLibtorch } from '../setup/build.mjs'
import { show } from '../setup/child.mjs'
import { isOn, variable } from '../setup/environment.mjs'
import { findLibtorch } from '../setup/libtorch.mjs'
import { hashOf, packageRoot } from '../setup/paths.mjs'
import { SetupError } from '../setup/setup-error.mjs'

/** CMake's switch for a build in a clone: a warning stops it. */
export const strict = { MCLOSS_STRICT: 'ON' }

/**
 * @param {object} [options]
 * @param {import('../setup/build.mjs').Program[]} [options.extra] C++ programs needed beside the add-on
 * @returns {Promise<import('../setup/libtorch.mjs').Libtorch>} the LibTorch in use
 */
export async function ensure({ extra = [] } = {}) {
  await installDependencies()
  const libtorch = await chooseLibtorch()
  await build(libtorch, { extra, defines: strict })
  await compileTypeScript()
  return libtorch
}

/** The one the user names, else the one in use, else one found, else a fetched one. */
async function chooseLibtorch() {
  const named = variable('LIBTORCH') || isOn('LIBTORCH_USE_PYTORCH')
  const recorded = named ? undefined : recordedLibtorch()
  if (recorded) return recorded
  const { libtorch, passedOver } = await findLibtorch()
  for (const reason of passedOver) process.stdout.write(`${reason}\n`)
  if (libtorch) return libtorch
  // Not imported above: it needs a package.
  const { fetchLibtorch } = await import('../setup/fetch-libtorch.mjs')
  return fetchLibtorch()
}

async function installDependencies() {
  const lock = join(packageRoot, 'package-lock.json')
  // npm writes this file last.
  const installed = join(packageRoot, 'node_modules/.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  // Not npm ci: it refuses a lock file that lacks optional packages of other platforms. No scripts:
  // the add-on and dist/ are built below.
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
  await step('npm install', 'npm', ['install', ...options])
}

async function compileTypeScript() {
  const stamp = join(packageRoot, 'build', 'dist.sha256')
  const hash = hashOf(['lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'])
  const done = existsSync(stamp) && readFileSync(stamp, 'utf8') === hash
  if (done && existsSync(join(packageRoot, 'dist/cli/main.js'))) return
  // Nothing of a source file that is gone may stay.
  rmSync(join(packageRoot, 'dist'), { recursive: true, force: true })
  await step('tsc', 'npm', ['run', '--silent', 'prepare'])
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, hash)
}

/**
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 */
async function step(name, command, args) {
  process.stdout.write(`mcloss: ${name}\n`)
  const code = await show(command, args, { cwd: packageRoot })
  if (code !== 0) throw new SetupError(`mcloss: ${name} failed with code ${code}; see above.`)
}
