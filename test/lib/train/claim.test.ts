// One process a run folder, tried with processes: of several one gets it, whoever had it before and
// however that one ended.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { Claim, requireFree } from '../../../lib/train/claim.js'
import { onBrokenDisk, refusal } from '../../support/broken-disk.js'

const root = join(import.meta.dirname, '../../..')
const taker = join(root, 'test/support/claim-taker.mjs')
const compiled = join(root, 'dist/train/claim.js')
const HANG_MS = 300_000
const temporary = () => mkdtempSync(join(tmpdir(), 'mcloss-test-'))
const claimOf = (runDir: string) => join(runDir, 'claim.json')
const read = (runDir: string) => JSON.parse(readFileSync(claimOf(runDir), 'utf8'))

interface Taker {
  process: ChildProcess
  /** Lets it take the claim; what it says of that. */
  take: () => Promise<string>
  /** Lets it release the claim and end. */
  end: () => Promise<void>
}

const started: ChildProcess[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

async function startTaker(runDir: string): Promise<Taker> {
  const child = spawn(process.execPath, [taker, compiled, runDir])
  started.push(child)
  child.stderr.pipe(process.stderr)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return {
    process: child,
    async take() {
      child.stdin.write('take\n')
      return (await lines.next()).value
    },
    async end() {
      child.stdin.write('end\n')
      await new Promise((settle) => child.on('exit', settle))
    },
  }
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = new Promise((settle) => child.on('exit', settle))
  child.kill('SIGKILL')
  await exit
}

test('the second process is refused with host, pid and start; the first gives it back', async () => {
  const runDir = temporary()
  const [first, second] = [await startTaker(runDir), await startTaker(runDir)]
  expect(await first.take()).toBe('taken')
  const owner = read(runDir)
  expect(owner).toMatchObject({ host: hostname(), pid: first.process.pid })
  expect(Math.abs(Date.parse(owner.startTime) - Date.now())).toBeLessThan(600_000)
  const refused = await second.take()
  for (const fact of ['E_BUSY', runDir, hostname(), `${owner.pid}`, owner.startTime]) {
    expect(refused).toContain(fact)
  }
  await expect(requireFree(runDir)).rejects.toMatchObject({ code: 'E_BUSY' })
  await second.end()
  expect(read(runDir)).toEqual(owner) // a refused process takes nothing away
  await first.end()
  expect(readdirSync(runDir)).toEqual([])
  await requireFree(runDir)
})

test('of five processes that want what a dead one has left, one gets it, again and again', async () => {
  const runDir = temporary()
  let holder = await startTaker(runDir)
  expect(await holder.take()).toBe('taken')
  for (let round = 0; round < 3; round++) {
    const takers = await Promise.all(Array.from({ length: 5 }, () => startTaker(runDir)))
    await killed(holder.process)
    const answers = await Promise.all(takers.map(({ take }) => take()))
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(1)
    expect(answers.filter((answer) => answer.startsWith('E_BUSY'))).toHaveLength(4)
    holder = takers[answers.indexOf('taken')] as Taker
    expect(read(runDir).pid).toBe(holder.process.pid)
    await Promise.all(takers.filter((one) => one !== holder).map(({ end }) => end()))
    expect(readdirSync(runDir)).toEqual(['claim.json'])
  }
})

test('a process that has ended but is not yet waited for is dead', async () => {
  const runDir = temporary()
  const command = `"$0" "$@" & echo $!; exec sleep 600` // sleep waits for nobody
  const args = [process.execPath, taker, compiled, runDir]
  const child = spawn('sh', ['-c', command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  started.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const pid = Number((await lines.next()).value)
  // A command in the background has no input, so its lines end at once, and it takes the claim.
  for (let line = ''; line !== 'taken'; ) line = (await lines.next()).value
  await vi.waitFor(() => {
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z /)
  }, HANG_MS)
  writeFileSync(claimOf(runDir), JSON.stringify({ ...(await ownClaim()), ...ticksOf(pid) }))
  const claim = new Claim()
  await claim.take(runDir)
  await claim.release()
})

/** What a claim of this process says. */
async function ownClaim() {
  const folder = temporary()
  const claim = new Claim()
  await claim.take(folder)
  const owner = read(folder)
  await claim.release()
  return owner
}

/** By proc(5): field 22. */
function ticksOf(pid: number) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return { pid, startTicks: text.replace(/^.*\) /s, '').split(' ')[19] }
}

test('a living process that has the pid of a dead one is not taken for it', async () => {
  const runDir = temporary()
  const owner = await ownClaim()
  expect(owner).toMatchObject(ticksOf(process.pid))
  writeFileSync(claimOf(runDir), JSON.stringify(owner))
  await expect(new Claim().take(runDir)).rejects.toMatchObject({ code: 'E_BUSY' })
  writeFileSync(claimOf(runDir), JSON.stringify({ ...owner, startTicks: '1' }))
  const claim = new Claim()
  await claim.take(runDir)
  await claim.requireHeld()
  await claim.release()
})

const ago = (path: string, seconds: number) => {
  const time = new Date(Date.now() - seconds * 1000)
  utimesSync(path, time, time)
}

test.each([
  ['another host', { boot: 'other', host: 'other-host' }],
  ['another container', { pidNamespace: 'pid:[1]', host: 'other-host' }],
])('a claim of %s holds until nobody has touched it for 60 s', async (_, other) => {
  const runDir = temporary()
  const path = claimOf(runDir)
  writeFileSync(path, JSON.stringify({ ...(await ownClaim()), ...other, pid: 2 ** 22 + 1 }))
  for (const seconds of [-100, 0, 50]) {
    ago(path, seconds)
    await expect(new Claim().take(runDir)).rejects.toMatchObject({
      code: 'E_BUSY',
      message: expect.stringMatching(/other-host.*60 s/),
    })
  }
  ago(path, 61) // the clock of files is a few ms behind
  const claim = new Claim()
  await claim.take(runDir)
  expect(read(runDir).host).toBe(hostname())
  await claim.release()
  expect(readdirSync(runDir)).toEqual([])
})

test('a claim that is not whole belongs to someone until it is old', async () => {
  const runDir = temporary()
  for (const text of ['', '{"host": "x"', 'null', '{}']) {
    writeFileSync(claimOf(runDir), text)
    await expect(new Claim().take(runDir), text).rejects.toMatchObject({ code: 'E_BUSY' })
    ago(claimOf(runDir), 61)
    const claim = new Claim()
    await claim.take(runDir)
    await claim.release()
  }
})

test("a process that died while it took a claim over is in nobody's way", async () => {
  const runDir = temporary()
  const holder = await startTaker(runDir)
  await holder.take()
  await killed(holder.process)
  writeFileSync(join(runDir, 'claim.next.json'), readFileSync(claimOf(runDir)))
  const claim = new Claim()
  await claim.take(runDir)
  expect(read(runDir).pid).toBe(process.pid)
  await claim.release()
  expect(readdirSync(runDir)).toEqual([])
})

test('a claim is touched every 10 s, and not after its release', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const runDir = temporary()
  const claim = new Claim()
  await claim.take(runDir)
  const text = readFileSync(claimOf(runDir), 'utf8')
  const age = () => Date.now() - statSync(claimOf(runDir)).mtimeMs
  for (let round = 0; round < 2; round++) {
    ago(claimOf(runDir), 1000)
    vi.advanceTimersByTime(9_999)
    expect(age()).toBeGreaterThan(900_000)
    vi.advanceTimersByTime(1)
    await vi.waitFor(() => expect(age()).toBeLessThan(900_000), HANG_MS)
  }
  expect(readFileSync(claimOf(runDir), 'utf8')).toBe(text)
  vi.advanceTimersByTime(10_000) // one that is under way does not bring the claim back
  await claim.release()
  vi.advanceTimersByTime(20_000)
  await claim.release()
  expect(readdirSync(runDir)).toEqual([])
})

test('what was taken over meanwhile is noticed before anything is saved, and left alone', async () => {
  const runDir = temporary()
  const claim = new Claim()
  await claim.take(runDir)
  await claim.requireHeld()
  rmSync(claimOf(runDir)) // somebody tidied up
  await claim.requireHeld()
  expect(read(runDir).pid).toBe(process.pid)
  const other = { ...read(runDir), host: 'other-host', pid: 7, id: 'other' }
  writeFileSync(claimOf(runDir), JSON.stringify(other))
  await expect(claim.requireHeld()).rejects.toMatchObject({
    code: 'E_BUSY',
    message: expect.stringMatching(/process 7 on other-host/),
  })
  await claim.release()
  expect(read(runDir)).toEqual(other)
})

test('a folder that cannot be written is an E_IO that says so', async () => {
  const runDir = temporary()
  const broken = {
    writeFile: () => {
      throw refusal('EROFS')
    },
  }
  await expect(onBrokenDisk(broken, () => new Claim().take(runDir))).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringMatching(/claim\.json.*EROFS.*mount it for writing/),
  })
})
