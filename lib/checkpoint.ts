// Checkpoints of a run: folders that are complete or not there, and the links last and best. Written
// beside their final name, flushed, renamed; older ones go only after the new one has been verified.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { NativeTrainer, StepStats } from './binding.js'
import { McLossError } from './errors.js'
import type { TestFigures, TrainFigures } from './events.js'

/** state.json: all a run needs besides weights and velocities. */
export interface CheckpointState {
  version: 1
  /** Epochs done; steps done in the next one; steps done in all. */
  epoch: number
  stepInEpoch: number
  step: number
  /** What the unfinished epoch has added up. */
  totals: { stats: StepStats; seconds: number; waitSeconds: number }
  best?: (TestFigures & { epoch: number }) | undefined
  /** Of the epoch that has just ended. */
  metrics: { train?: TrainFigures; test?: TestFigures }
  /** As configToJson. */
  config: object
  classes: string[]
  libtorch: string
}

export interface SaveOptions {
  runDir: string
  trainer: Pick<NativeTrainer, 'save'>
  state: CheckpointState
  /** The links that shall name this checkpoint. */
  links: ('last' | 'best')[]
}

type Manifest = Record<string, { bytes: number; sha256: string }>

const MANIFEST = 'manifest.json'
const temporary = (name: string) => name.startsWith('.')

/**
 * Saves a checkpoint, points the links at it, removes checkpoints no link names. Returns its folder.
 *
 * @throws McLossError E_IO when it cannot be written; the checkpoints there before stay.
 */
export async function saveCheckpoint(options: SaveOptions): Promise<string> {
  const { runDir, trainer, state, links } = options
  const folder = join(runDir, 'checkpoints')
  const name = await freeName(folder, checkpointName(state))
  const [unfinished, path] = [join(folder, `.${name}.tmp`), join(folder, name)]
  try {
    await mkdir(folder, { recursive: true })
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(unfinished)
    await trainer.save(unfinished, modelMetadata(state))
    await writeFlushed(join(unfinished, 'state.json'), toText(state))
    await writeFlushed(join(unfinished, MANIFEST), toText(await manifestOf(unfinished)))
    await flushFolder(unfinished)
    await rename(unfinished, path)
    await flushFolder(folder)
    await verify(path)
    for (const link of links) await pointLink(join(runDir, link), join('checkpoints', name))
    await flushFolder(runDir)
    await prune(runDir)
    return path
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new McLossError(
      'E_IO',
      `checkpoint: ${path} could not be saved: ${reason}. The checkpoints saved before are as they ` +
        `were; free some space, then go on with: mcloss train --resume ${runDir}`,
      { cause },
    )
  }
}

/**
 * Opens a checkpoint folder, or the last checkpoint of a run folder, and verifies every file.
 *
 * @throws McLossError E_CHECKPOINT saying what is missing or damaged, and which other checkpoint of
 * the run is whole.
 */
export async function openCheckpoint(
  path: string,
): Promise<{ path: string; state: CheckpointState }> {
  const named = resolve(path)
  const isRun = await stat(join(named, 'checkpoints')).catch(() => undefined)
  const target = isRun ? join(named, 'last') : named
  const folder = await realpath(target).catch(() => {
    throw new McLossError(
      'E_CHECKPOINT',
      `checkpoint: expected a run folder or a checkpoint folder at ${path}, but ${target} is not ` +
        'there. A run prints its folder when it starts.',
    )
  })
  try {
    await verify(folder)
  } catch (error) {
    const whole = await newestWhole(dirname(folder), basename(folder))
    const advice = whole
      ? `Go on from ${whole} instead.`
      : 'No other checkpoint of the run is whole.'
    throw new McLossError('E_CHECKPOINT', `${(error as Error).message} ${advice}`, { cause: error })
  }
  return { path: folder, state: JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) }
}

export interface ModelMetadata {
  /** As configToJson. */
  config: object
  classes: string[]
  metrics: CheckpointState['metrics']
  libtorch: string
}

/**
 * What a model.safetensors says about itself in its header.
 *
 * @throws McLossError E_IO when it cannot be read, E_WEIGHTS when it is not a file of ours.
 */
export async function readModelMetadata(path: string): Promise<ModelMetadata> {
  const metadata = await readHeader(path)
  if (metadata?.format !== 'mcloss' || !metadata.config || !metadata.classes) {
    throw new McLossError(
      'E_WEIGHTS',
      `weights: expected ${path} to be a model.safetensors of a run, with its classes and ` +
        'configuration inside, but it has none. Backbone weights go into model.weights of a training ' +
        'configuration.',
    )
  }
  return {
    config: JSON.parse(metadata.config),
    classes: JSON.parse(metadata.classes),
    metrics: JSON.parse(metadata.metrics ?? '{}'),
    libtorch: metadata.libtorch ?? '',
  }
}

// ---- names and contents ----

/** Zero-padded, so that names sort as steps do. */
function checkpointName({ epoch, step }: CheckpointState): string {
  return `epoch-${String(epoch).padStart(4, '0')}-step-${String(step).padStart(8, '0')}`
}

/** A step saved again (after a resume) gets -2, -3, ...: the one before stays until this is whole. */
async function freeName(folder: string, name: string): Promise<string> {
  const taken: string[] = await readdir(folder).catch(() => [])
  let free = name
  for (let count = 2; taken.includes(free); count++) free = `${name}-${count}`
  return free
}

function modelMetadata({ config, classes, metrics, libtorch }: CheckpointState) {
  return {
    format: 'mcloss',
    config: JSON.stringify(config),
    classes: JSON.stringify(classes),
    metrics: JSON.stringify(metrics),
    libtorch,
  }
}

const toText = (value: object) => `${JSON.stringify(value, null, 2)}\n`

const MAX_HEADER = 100 * 2 ** 20

async function readHeader(path: string): Promise<Record<string, string> | undefined> {
  const file = await open(path).catch((cause) => {
    throw new McLossError('E_IO', `weights: ${path} cannot be read (${cause.code}).`, { cause })
  })
  try {
    const prefix = Buffer.alloc(8)
    const { bytesRead } = await file.read(prefix, 0, 8, 0)
    const length = Number(prefix.readBigUInt64LE())
    if (bytesRead < 8 || length > MAX_HEADER) return undefined
    const header = Buffer.alloc(length)
    await file.read(header, 0, length, 8)
    return JSON.parse(header.toString('utf8')).__metadata__
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  } finally {
    await file.close()
  }
}

// ---- verification ----

async function manifestOf(folder: string): Promise<Manifest> {
  const manifest: Manifest = {}
  for (const name of (await readdir(folder)).sort()) {
    if (name === MANIFEST) continue
    const path = join(folder, name)
    manifest[name] = { bytes: (await stat(path)).size, sha256: await sha256(path) }
  }
  return manifest
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

async function verify(folder: string): Promise<void> {
  const damaged = (what: string) =>
    new McLossError('E_CHECKPOINT', `checkpoint: ${folder} cannot be used: ${what}.`)
  let manifest: Manifest
  try {
    manifest = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8'))
  } catch {
    throw damaged(`its ${MANIFEST} is missing or not JSON`)
  }
  for (const name of ['model.safetensors', 'optimizer.safetensors', 'state.json']) {
    const expected = manifest[name]
    if (!expected) throw damaged(`its ${MANIFEST} does not list ${name}`)
    const path = join(folder, name)
    const bytes = (await stat(path).catch(() => undefined))?.size
    if (bytes === undefined) throw damaged(`${name} is missing`)
    if (bytes !== expected.bytes) {
      throw damaged(`${name} has ${bytes} bytes instead of ${expected.bytes}`)
    }
    if ((await sha256(path)) !== expected.sha256) throw damaged(`the SHA-256 of ${name} is wrong`)
  }
}

async function newestWhole(folder: string, except: string): Promise<string | undefined> {
  const names = (await readdir(folder).catch(() => [])).filter(
    (name) => name !== except && !temporary(name),
  )
  for (const name of names.sort().reverse()) {
    const path = join(folder, name)
    const isWhole = await verify(path).then(
      () => true,
      () => false,
    )
    if (isWhole) return path
  }
  return undefined
}

// ---- the disk ----

async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function pointLink(link: string, target: string): Promise<void> {
  const unfinished = join(dirname(link), `.${basename(link)}.tmp`)
  await rm(unfinished, { force: true })
  await symlink(target, unfinished)
  await rename(unfinished, link)
}

async function prune(runDir: string): Promise<void> {
  const linked = new Set<string>()
  for (const link of ['last', 'best']) {
    const target = await readlink(join(runDir, link)).catch(() => undefined)
    if (target) linked.add(basename(target))
  }
  const folder = join(runDir, 'checkpoints')
  for (const name of await readdir(folder)) {
    if (!linked.has(name)) await rm(join(folder, name), { recursive: true, force: true })
  }
}
