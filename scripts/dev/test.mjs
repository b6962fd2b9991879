// @ts-check
// `npm test`: a clone becomes ready, then side by side lint, types and CUDA objects; the C++ tests; the
// tests. The last line is `N passed, N failed`. Arguments go to vitest: npm test -- test/lib/random.test.ts

import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { read, show } from '../setup/child.mjs'
import { packageRoot } from '../setup/paths.mjs'
import { runAsProgram } from '../setup/setup-error.mjs'
import { compileCudaFiles } from './cuda-objects.mjs'
import { ensure } from './ensure.mjs'
import { loopsHere } from './loops.mjs'

// A LibTorch thread that waits for others leaves its core to what runs beside it.
process.env.OMP_WAIT_POLICY ??= 'passive'

const count = { passed: 0, failed: 0, skipped: 0 }
/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`)
/** @param {string} name */
const tool = (name) => join(packageRoot, 'node_modules/.bin', name)

/** @param {string} name @param {boolean} ok */
function one(name, ok) {
  if (ok) count.passed++
  else count.failed++
  print(`${ok ? 'ok    ' : 'FAILED'} ${name}`)
}

await runAsProgram(import.meta.url, async (args) => {
  const libtorch = await ensure({ extra: ['tests'] })
  await Promise.all([sources(libtorch), nativeTests(), vitest(args)])
  if (count.skipped > 0) print(`${count.skipped} skipped`)
  print(`${count.passed} passed, ${count.failed} failed`)
  return count.failed > 0 ? 1 : 0
})

/** What looks at sources alone. @param {import('../setup/libtorch.mjs').Libtorch} libtorch */
async function sources(libtorch) {
  await quiet('lint', 'npm', ['run', '--silent', 'lint'])
  await quiet('types', 'npm', ['run', '--silent', 'types'])
  await cudaObjects(libtorch)
}

/** A command of which only a failure's output is of interest. */
async function quiet(
  /** @type {string} */ name,
  /** @type {string} */ command,
  /** @type {string[]} */ args,
) {
  const { code, stdout, stderr } = await read(command, args, { cwd: packageRoot })
  if (code !== 0) print(stdout + stderr)
  one(name, code === 0)
}

/** @param {import('../setup/libtorch.mjs').Libtorch} libtorch */
async function cudaObjects(libtorch) {
  const outcome = await compileCudaFiles(libtorch)
  if ('skipped' in outcome) {
    print(`CUDA files not compiled: ${outcome.skipped}`)
    return
  }
  if (!outcome.ok) print(outcome.output)
  one(outcome.name, outcome.ok)
}

/**
 * ops_test whole with the loops for this processor, and the operators with those for lesser ones.
 * `npm run soak` runs it whole with all.
 */
async function nativeTests() {
  for (const { name, env } of loopsHere()) {
    await nativeTest(name, env ? ['--operators'] : [], env)
  }
  await nativeTest('the CUDA kernels on the CPU', ['--kernels'])
}

/**
 * ops_test prints its own `N passed, N failed` last, of its cases.
 * @param {string} name @param {string[]} args @param {NodeJS.ProcessEnv} [env]
 */
async function nativeTest(name, args, env) {
  print(`ops_test: ${name}`)
  const program = join(packageRoot, 'build/ops_test')
  const options = { cwd: packageRoot, echo: true, env: { ...process.env, ...env } }
  const { code, stdout } = await read(program, ['test/fixtures', ...args], options)
  const [, passed, failed] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? []
  count.passed += Number(passed ?? 0)
  count.failed += Number(failed ?? 0)
  // A crash is one failure more than it could still say.
  if (passed === undefined || (code !== 0 && failed === '0')) {
    one(`ops_test, ${name}: code ${code}`, false)
  }
}

/** @param {string[]} args */
async function vitest(args) {
  const report = join(packageRoot, 'build/vitest.json')
  rmSync(report, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  // malloc keeps what is freed: to take pages anew at every step is a seventh of the tests that train. And
  // it takes pages of 2 MiB: a tenth of all tests.
  const memory = {
    MALLOC_MMAP_MAX_: '0',
    MALLOC_TRIM_THRESHOLD_: String(2 ** 32),
    GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
  }
  const options = { cwd: packageRoot, env: { ...memory, ...process.env } }
  const code = await show(tool('vitest'), ['run', ...reporters, ...args], options)
  if (!existsSync(report)) return one(`vitest, code ${code}: no report`, false)
  const results = JSON.parse(readFileSync(report, 'utf8'))
  const failedBefore = count.failed
  count.passed += results.numPassedTests
  count.failed += results.numFailedTests
  count.skipped += results.numPendingTests + results.numTodoTests
  for (const { name, status, assertionResults } of results.testResults) {
    // A file that does not load has no tests to count.
    if (status === 'failed' && assertionResults.length === 0) one(name, false)
    for (const { status, fullName } of assertionResults) {
      if (['pending', 'skipped', 'todo'].includes(status))
        print(`skipped ${relative(packageRoot, name)}: ${fullName}`)
    }
  }
  if (code !== 0 && count.failed === failedBefore) one(`vitest, code ${code}`, false)
}
