// One process a run folder: RUN/claim.json says which. It is created with O_EXCL, and one that is left
// over is replaced by rename, so of several processes that want a run one gets it.

import { randomUUID } from 'node:crypto'
import { open, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { bootId } from '../data/store/format.js'
import { McLossError } from '../errors.js'
import { systemCodeOf, systemReason } from '../files/system-errors.js'

const CLAIM = 'claim.json'
/** What a claim that is left over is replaced with; there for a moment only. */
const NEXT = 'claim.next.json'
const MOVED = 'The run folder was moved or deleted meanwhile: put it back.'
const TOUCH_MS = 10_000
const FORGOTTEN_MS = 60_000

interface Owner {
  host: string
  pid: number
  /** Of the process. */
  startTime: string
  /** The same as /proc/PID/stat has it: a reused pid has another one. */
  startTicks: string
  /** Process ids mean something within one boot of one machine and one namespace alone. */
  boot: string
  pidNamespace: string
  /** Of this claim: a process can have several runs. */
  id: string
}

/** The claim of a run folder, once it is taken. */
export class Claim {
  #runDir = ''
  #text = ''
  #timer: NodeJS.Timeout | undefined
  #touching: Promise<unknown> = Promise.resolve()

  /**
   * Takes the run folder; what a process that is gone has left there is taken over.
   *
   * @throws McLossError E_BUSY naming the process that has it, E_IO when the folder cannot be
   * written.
   */
  async take(runDir: string): Promise<void> {
    const text = `${JSON.stringify({ ...(await thisProcess()), id: randomUUID() })}\n`
    await orNotWritten(runDir, async () => {
      while (!(await tryTake(runDir, text))) await setTimeout(10)
    })
    this.#runDir = runDir
    this.#text = text
    this.#timer = setInterval(() => this.#touch(), TOUCH_MS).unref()
  }

  /** @throws McLossError E_BUSY when another process has taken the run over meanwhile. */
  async requireHeld(): Promise<void> {
    await orNotWritten(this.#runDir, async () => {
      if (await renew(this.#runDir, this.#text)) return
      const found = await readClaim(join(this.#runDir, CLAIM))
      throw new McLossError(
        'E_BUSY',
        `train: ${this.#runDir} was taken over${found?.owner ? ` by ${nameOf(found.owner)}` : ''} ` +
          'while this process stood still. This one saves nothing more; leave the run to the other.',
      )
    })
  }

  async release(): Promise<void> {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    await this.#touching
    const path = join(this.#runDir, CLAIM)
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text === this.#text) await rm(path, { force: true }).catch(() => {}) // left over, then
  }

  #touch(): void {
    // If the disk refuses, the claim ages, and the next save says what is wrong with the disk.
    this.#touching = renew(this.#runDir, this.#text).catch(() => {})
  }
}

/** @throws McLossError E_BUSY when a process has the run folder at the moment. */
export async function requireFree(runDir: string): Promise<void> {
  await orNotWritten(runDir, async () => {
    const found = await readClaim(join(runDir, CLAIM))
    if (found) await requireLeftOver(runDir, found)
  })
}

/** As requireFree asks, but it only reads: the age of a claim from elsewhere is by this clock. */
export async function isClaimed(runDir: string): Promise<boolean> {
  const found = await readClaim(join(runDir, CLAIM)).catch(() => undefined)
  if (!found) return false
  if (await isOfThisSystem(found.owner)) return isRunning(found.owner as Owner)
  return Date.now() - found.touched < FORGOTTEN_MS
}

/** One attempt; false where another process has changed something meanwhile. */
async function tryTake(runDir: string, text: string): Promise<boolean> {
  const [path, next] = [join(runDir, CLAIM), join(runDir, NEXT)]
  if (await created(path, text)) return true
  const found = await readClaim(path)
  if (!found) return false
  await requireLeftOver(runDir, found)
  if (!(await created(next, text))) {
    const other = await readClaim(next)
    if (!other) return false
    await requireLeftOver(runDir, other)
    await rm(next, { force: true }) // its process ended between the two
    return false
  }
  // Whoever holds `next` is alone with the old claim, if that is still the one that was looked at.
  const isSame = (await readClaim(path))?.text === found.text
  if (!isSame) await rm(next, { force: true })
  else await rename(next, path).catch(unlessNothing)
  return (await readClaim(path))?.text === text
}

function unlessNothing(error: unknown): void {
  if (systemCodeOf(error) !== 'ENOENT') throw error
}

/** With O_EXCL: of several processes one creates it. */
async function created(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Writes the claim again, which touches it by the clock of its disk; returns whether it is still this
 * one. One that somebody has deleted is created again.
 */
async function renew(runDir: string, text: string): Promise<boolean> {
  const path = join(runDir, CLAIM)
  const file = await open(path, 'r+').catch(unlessNothing)
  if (!file) return created(path, text)
  try {
    if ((await file.readFile('utf8')) !== text) return false
    await file.write(text, 0)
    return true
  } finally {
    await file.close()
  }
}

interface Found {
  text: string
  /** Undefined for a claim that is not whole. */
  owner: Owner | undefined
  /** By the disk's clock, milliseconds. */
  touched: number
}

/** Undefined where there is none. Waits a little for one that is being written. */
async function readClaim(path: string): Promise<Found | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      const [text, { mtimeMs: touched }] = [await readFile(path, 'utf8'), await stat(path)]
      const owner = ownerIn(text)
      if (owner || attempt === 20) return { text, owner, touched }
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined
      throw error
    }
    await setTimeout(10)
  }
}

function ownerIn(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Owner
    return Number.isInteger(owner.pid) ? owner : undefined
  } catch {
    return undefined
  }
}

async function requireLeftOver(runDir: string, { owner, touched }: Found): Promise<void> {
  if (owner && (await isOfThisSystem(owner))) {
    if (!(await isRunning(owner))) return
    const isOwn = owner.pid === process.pid
    throw busy(runDir, nameOf(owner), `Wait until it ends${isOwn ? '' : ' or stop it'}`)
  }
  const age = (await diskTime(runDir)) - touched
  if (age >= FORGOTTEN_MS) return
  const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 1000))} s`
  const who = owner ? nameOf(owner) : 'a process that has not said which it is'
  const advice =
    `It touched its ${CLAIM} ${seconds(age)} ago. Stop it, or wait: a claim that nobody touches for ` +
    `${seconds(FORGOTTEN_MS)} is taken over`
  throw busy(runDir, who, advice)
}

/** Whether its process id means something here. */
async function isOfThisSystem(owner: Owner | undefined): Promise<boolean> {
  const here = await thisProcess()
  return owner?.boot === here.boot && owner.pidNamespace === here.pidNamespace
}

function busy(runDir: string, who: string, advice: string): McLossError {
  return new McLossError('E_BUSY', `train: ${runDir} is in use by ${who}. ${advice}.`)
}

const nameOf = ({ host, pid, startTime }: Owner) =>
  `process ${pid} on ${host}, started ${startTime}`

async function orNotWritten(runDir: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    throw new McLossError(
      'E_IO',
      `train: ${join(runDir, CLAIM)} cannot be read and written: ${systemReason(cause, MOVED)} ` +
        `Then go on with: mcloss train --resume ${runDir}`,
      { cause },
    )
  }
}

/** Two hosts' clocks may differ by minutes, so ages are taken by the disk's. */
async function diskTime(folder: string): Promise<number> {
  const path = join(folder, `.now-${randomUUID()}`)
  try {
    await writeFile(path, '')
    return (await stat(path)).mtimeMs
  } finally {
    await rm(path, { force: true })
  }
}

async function thisProcess(): Promise<Omit<Owner, 'id'>> {
  return {
    host: hostname(),
    pid: process.pid,
    startTime: new Date(Date.now() - process.uptime() * 1000).toISOString(),
    startTicks: (await statusOf(process.pid))?.startTicks ?? '',
    boot: await bootId(),
    pidNamespace: await readlink('/proc/self/ns/pid'),
  }
}

async function isRunning({ pid, startTicks }: Owner): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (systemCodeOf(error) === 'ESRCH') return false // others: it is another user's
  }
  const status = await statusOf(pid) // hidden from us on some systems
  return status === undefined || (status.isAlive && status.startTicks === startTicks)
}

async function statusOf(
  pid: number,
): Promise<{ isAlive: boolean; startTicks: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field is the program's name in brackets, whatever is in it; see proc(5).
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  if (!fields) return undefined
  return { isAlive: !/[ZX]/.test(fields[0] ?? ''), startTicks: fields[19] ?? '' }
}
