// One run in a process of its own, a child of lib/compare/child.ts: so its processor time and memory are
// its own, and a run that dies takes no other with it. It goes on from its last checkpoint, if there is
// one. Whether to stop is the parent's to say; without a parent it ends at once.

import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { native } from '../binding.js'
import { type Config, defineConfig } from '../config/index.js'
import { McLossError, reasonOf } from '../errors.js'
import type { RunEvent, TestFigures } from '../events.js'
import { unlessMissing } from '../files/system-errors.js'
import { packageVersion, physicalCores } from '../machine.js'
import { openCheckpoint } from '../train/checkpoint.js'
import { Claim } from '../train/claim.js'
import { writeFlushed } from '../train/disk.js'
import { locate } from '../train/links.js'
import { train, trainAndValidate } from '../train/train.js'
import { type Answer, RESULT, type Request, type Spent } from './child.js'
import type { Outcome } from './ledger.js'
import { timeOf } from './timing.js'

const stop = new AbortController()
const BUSY_MS = 10_000

process.on('SIGINT', () => {}) // the terminal's signals reach the parent too
process.on('SIGHUP', () => {})
process.on('SIGTERM', () => stop.abort())
const orphaned = () => process.kill(process.pid, 'SIGKILL')
process.on('disconnect', orphaned)
process.on('message', (message: Request | 'stop') => {
  if (message === 'stop') return stop.abort()
  answer(message).then((reply) =>
    process.send?.(reply, () => {
      process.off('disconnect', orphaned)
      process.disconnect()
    }),
  )
})

async function answer(request: Request): Promise<Answer> {
  try {
    const config = defineConfig(request.config)
    if (request.kind === 'timing') return { timing: await timeOf(config, stop.signal) }
    const claim = await claimOf(dirname(request.runDir))
    return { outcome: await finish(config, request).finally(() => claim.release()) }
  } catch (error) {
    const code = error instanceof McLossError ? error.code : undefined
    return { error: { ...(code && { code }), message: reasonOf(error) } }
  }
}

/** Trains to the end; a run that died after its end and before its result was kept begins again. */
async function finish(config: Config, { kind, runDir }: Request): Promise<Outcome> {
  // A folder that was made but has no folder of checkpoints yet is none of a run.
  const { runDir: run, path } = await locate(runDir, 'last')
  const isBegun = run !== undefined && path !== undefined
  const done = isBegun ? (await openCheckpoint(runDir)).state.epoch : 0
  const resumes = isBegun && done < config.optim.epochs
  if (!resumes) await rm(runDir, { recursive: true, force: true })
  const before = await spentIn(runDir) // nothing in a folder that is not there
  const figures = await figuresOf(config, kind, resumes ? runDir : undefined, () =>
    keep(runDir, spent(before)),
  )
  const outcome = {
    ...(figures ? { figures: pick(figures) } : { error: 'E_NUMERICS' as const }),
    ...spent(before),
    versions: {
      mcloss: packageVersion(),
      libtorch: native().buildInfo().libtorch,
      node: process.versions.node,
    },
    machine: {
      processor: cpus()[0]?.model.trim() ?? '',
      cores: physicalCores(),
      threads: config.threads,
    },
  }
  await keep(runDir, outcome)
  return outcome
}

const pick = ({ top1, top5, loss, meanPerClass, n }: TestFigures) => ({
  ...{ top1, top5, loss, meanPerClass, n },
})

/** Undefined for a run that ends because its figures are not finite. */
async function figuresOf(
  config: Config,
  kind: Request['kind'],
  resume: string | undefined,
  onCheckpoint: () => Promise<void>,
): Promise<TestFigures | undefined> {
  const options = { signal: stop.signal, ...(resume && { resume }) }
  try {
    if (kind === 'trial') {
      const trial = trainAndValidate(config, options)
      await followed(trial, onCheckpoint)
      return (await trial.result).last
    }
    const run = train(config, options)
    await followed(run, onCheckpoint)
    return (await run.result).test
  } catch (error) {
    if (error instanceof McLossError && error.code === 'E_NUMERICS') return undefined
    throw error
  }
}

async function followed(events: AsyncIterable<RunEvent>, onCheckpoint: () => Promise<void>) {
  for await (const event of events) if (event.type === 'checkpoint') await onCheckpoint()
}

/**
 * Takes the folder around the run's. A process that was killed with its parent may still be there for a
 * moment, with or without a claim of the run itself.
 */
async function claimOf(folder: string): Promise<Claim> {
  await mkdir(folder, { recursive: true })
  for (const began = performance.now(); ; await setTimeout(50)) {
    const claim = new Claim()
    try {
      await claim.take(folder)
      return claim
    } catch (error) {
      if (performance.now() - began > BUSY_MS) throw error
    }
  }
}

/** Of this process and those before it. */
function spent(before: Spent): Spent {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return {
    seconds: before.seconds + (userCPUTime + systemCPUTime) / 1e6,
    peakBytes: Math.max(before.peakBytes, maxRSS * 1024),
  }
}

/** Nothing, if it died between a checkpoint and the writing of this. */
async function spentIn(runDir: string): Promise<Spent> {
  const path = join(runDir, RESULT)
  const text = await unlessMissing(
    readFile(path, 'utf8'),
    'E_IO',
    `compare: ${path} cannot be read`,
  )
  return text === undefined ? { seconds: 0, peakBytes: 0 } : JSON.parse(text)
}

async function keep(runDir: string, what: object): Promise<void> {
  const path = join(runDir, RESULT)
  await writeFlushed(`${path}.tmp`, JSON.stringify(what))
  await rename(`${path}.tmp`, path)
}
