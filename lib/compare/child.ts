// The parent's side of a run: its folder, its process, what it answers.

import { type ChildProcess, fork } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConfigInput } from '../config/index.js'
import { type ErrorCode, McLossError } from '../errors.js'
import { unlessMissing } from '../files/system-errors.js'
import { packageRoot } from '../machine.js'
import { CHECKPOINTS, LINKS } from '../train/links.js'
import type { Outcome } from './ledger.js'
import type { Timing } from './timing.js'

/** Beside a run's checkpoints: what it has spent, and once it is finished its outcome. */
export const RESULT = 'result.json'

export interface Spent {
  seconds: number
  peakBytes: number
}

export interface Request {
  kind: 'trial' | 'figure' | 'timing'
  config: ConfigInput
  runDir: string
}

/** One of the three. */
export interface Answer {
  outcome?: Outcome
  timing?: Timing
  error?: { code?: ErrorCode; message: string }
}

/** The outcome of a run; one whose process finished and whose parent did not keep it is not run again. */
export async function runToEnd(request: Request, signal?: AbortSignal): Promise<Outcome> {
  const path = join(request.runDir, RESULT)
  const kept = await unlessMissing(
    readFile(path, 'utf8'),
    'E_IO',
    `compare: ${path} cannot be read`,
  )
  const found: Outcome | undefined = kept === undefined ? undefined : JSON.parse(kept)
  if (found?.versions) return found
  return (await ask(request, signal)).outcome as Outcome
}

/** Once the outcome is kept: config.json and metrics.jsonl stay, the weights go. */
export async function tidy(runDir: string): Promise<void> {
  for (const name of [RESULT, ...LINKS, CHECKPOINTS]) {
    await rm(join(runDir, name), { recursive: true, force: true })
  }
}

export async function timed(config: ConfigInput, signal?: AbortSignal): Promise<Timing> {
  return (await ask({ kind: 'timing', config, runDir: '' }, signal)).timing as Timing
}

/** @throws McLossError of the child's code; E_NATIVE for a child that says nothing. */
function ask(request: Request, signal?: AbortSignal): Promise<Answer> {
  const program = join(packageRoot, 'dist/compare/worker.js')
  const child = fork(program, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] })
  const stop = () => child.connected && child.send('stop')
  signal?.addEventListener('abort', stop)
  child.send(request)
  if (signal?.aborted) stop()
  return answered(child).finally(() => signal?.removeEventListener('abort', stop))
}

function answered(child: ChildProcess): Promise<Answer> {
  return new Promise((settle, reject) => {
    let answer: Answer | undefined
    let words = ''
    child.stderr?.on('data', (data) => {
      words = `${words}${data}`.slice(-2000)
    })
    child.on('message', (message: Answer) => {
      answer = message
    })
    child.on('error', reject)
    child.on('close', (code, by) => {
      if (answer?.error)
        reject(new McLossError(answer.error.code ?? 'E_NATIVE', answer.error.message))
      else if (answer) settle(answer)
      else reject(died(code, by, words))
    })
  })
}

function died(code: number | null, by: string | null, words: string): McLossError {
  const how = by ? `was ended by ${by}` : `ended with code ${code}`
  const memory = by === 'SIGKILL' ? ' If the system ended it for want of memory, lower --jobs.' : ''
  const said = words.trim() ? ` It said: ${words.trim()}` : ''
  return new McLossError('E_NATIVE', `compare: the process of the run ${how}.${memory}${said}`)
}
