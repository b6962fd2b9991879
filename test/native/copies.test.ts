// LibTorch knows operators by name, once a process: one copy of the package may serve a process, in
// any of its threads, and a second one is refused before it is opened.

import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/folders.js'

const root = join(import.meta.dirname, '../..')
const addon = process.env.MCLOSS_NATIVE ?? join(root, 'build/Release/mcloss.node')
const folder = temporaryFolder()
const [one, two] = [join(folder, 'one'), join(folder, 'two')]
const addonOf = (copy: string) => join(copy, 'build/Release/mcloss.node')

beforeAll(() => {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const copy of [one, two]) {
    for (const part of ['dist', 'scripts/setup', 'package.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true })
    }
    mkdirSync(join(copy, 'build/Release'), { recursive: true })
    copyFileSync(addon, addonOf(copy))
  }
})

/** What `use(copy)` gave for each of the copies, in order; inThread(copy) does it in a new thread. */
function outcomesOf(body: string) {
  const program = `
    import { copyFileSync, rmSync } from 'node:fs'
    import { Worker } from 'node:worker_threads'
    const [one, two] = ${JSON.stringify([one, two])}
    const addon = ${JSON.stringify(addon)}
    const outcomes = []
    async function use(copy) {
      const { channelGroups } = await import(copy + '/dist/index.js')
      try { outcomes.push(channelGroups(4, 2).length) }
      catch ({ code, message }) { outcomes.push({ code, message }) }
    }
    async function inThread(copy) {
      const source = \`
        import { parentPort } from 'node:worker_threads'
        import { channelGroups } from 'file://\${copy}/dist/index.js'
        try { parentPort.postMessage(channelGroups(4, 2).length) }
        catch ({ code, message }) { parentPort.postMessage({ code, message }) }
      \`
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)))
      outcomes.push(await new Promise((settle, fail) => worker.on('message', settle).on('error', fail)))
      await worker.terminate()
    }
    ${body}
    console.log(JSON.stringify(outcomes))
  `
  const { MCLOSS_NATIVE: _, ...env } = process.env
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', program],
    { env, encoding: 'utf8' },
  )
  expect({ stderr, signal }).toEqual({ stderr: '', signal: null })
  return JSON.parse(stdout)
}

const refused = (loaded: string, second: string) => ({
  code: 'E_NATIVE_LOAD',
  message: expect.stringContaining(`${loaded} is loaded and ${second} would be the second`),
})

test('a second copy is refused by name, and the first goes on', () => {
  expect(outcomesOf('await use(one); await use(two); await use(one)')).toEqual([
    2,
    refused(addonOf(one), addonOf(two)),
    2,
  ])
})

test('the threads of a process share one copy', () => {
  expect(outcomesOf('await inThread(one); await use(one); await inThread(one)')).toEqual([2, 2, 2])
})

test('a second copy is refused in a thread, too, and after a thread that had the first', () => {
  expect(outcomesOf('await use(one); await inThread(two)')).toEqual([
    2,
    refused(addonOf(one), addonOf(two)),
  ])
  expect(outcomesOf('await inThread(one); await use(two)')).toEqual([
    2,
    refused(addonOf(one), addonOf(two)),
  ])
})

test('a copy under another name is found', () => {
  const other = join(folder, 'prebuilt.node')
  copyFileSync(addon, other)
  const body = `
    process.env.MCLOSS_NATIVE = ${JSON.stringify(other)}
    await use(one)
    delete process.env.MCLOSS_NATIVE
    await use(two)`
  expect(outcomesOf(body)).toEqual([2, refused(other, addonOf(two))])
})

test('a link to the copy that is loaded is no second one', () => {
  const link = join(folder, 'link.node')
  symlinkSync(addonOf(one), link)
  const body = `await use(one); process.env.MCLOSS_NATIVE = ${JSON.stringify(link)}; await inThread(one)`
  expect(outcomesOf(body)).toEqual([2, 2])
})

test('an add-on that was built anew under a process is not loaded beside the old one', () => {
  const path = addonOf(two)
  const body = `
    await use(two)
    rmSync(${JSON.stringify(path)})
    copyFileSync(addon, ${JSON.stringify(path)})
    await inThread(two)`
  expect(outcomesOf(body)).toEqual([
    2,
    { code: 'E_NATIVE_LOAD', message: expect.stringContaining(`${path} was replaced after`) },
  ])
})
