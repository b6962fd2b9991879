// What makes a checkpoint folder whole: manifest.json lists every file with its size and SHA-256.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { McLossError } from '../errors.js'
import { systemFault, unlessMissing } from '../files/system-errors.js'
import { textOf } from '../files/text.js'

type Manifest = Record<string, { bytes: number; sha256: string }>

export const MANIFEST = 'manifest.json'
export const MODEL_FILE = 'model.safetensors'
/** The average of the weights, as complete a model; of runs with optim.ema. */
export const EMA_FILE = 'ema.safetensors'

/** The manifest of the files in a folder. */
export async function manifestOf(folder: string): Promise<Manifest> {
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

/** The error of a checkpoint that cannot be used. */
export function damaged(folder: string, what: string): McLossError {
  return new McLossError('E_CHECKPOINT', `checkpoint: ${folder} cannot be used: ${what}.`)
}

/**
 * Reads every file that a checkpoint needs and compares it with the manifest.
 *
 * @throws McLossError E_CHECKPOINT naming the first file that is missing or damaged.
 */
export async function verify(folder: string): Promise<void> {
  const manifest = await readManifest(folder)
  const average = manifest[EMA_FILE] ? [EMA_FILE] : []
  for (const name of [MODEL_FILE, ...average, 'optimizer.safetensors', 'state.json']) {
    const expected = manifest[name]
    if (!expected) throw damaged(folder, `its ${MANIFEST} does not list ${name}`)
    const path = join(folder, name)
    const bytes = (await found(folder, name, stat(path)))?.size
    if (bytes === undefined) throw damaged(folder, `${name} is missing`)
    if (bytes !== expected.bytes) {
      throw damaged(folder, `${name} has ${bytes} bytes instead of ${expected.bytes}`)
    }
    const digest = await sha256(path).catch((cause) => {
      throw damaged(folder, `${name} cannot be read: ${systemFault(cause)}`)
    })
    if (digest !== expected.sha256) throw damaged(folder, `the SHA-256 of ${name} is wrong`)
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const bytes = await found(folder, MANIFEST, readFile(join(folder, MANIFEST)))
  try {
    const source = {
      file: join(folder, MANIFEST),
      reader: 'checkpoint',
      code: 'E_CHECKPOINT',
    } as const
    if (bytes) return Object(JSON.parse(textOf(bytes, source)))
  } catch {} // said below
  throw damaged(folder, `its ${MANIFEST} is missing or not JSON`)
}

/** What a call on a file of the folder gives, undefined for a missing one. @throws E_CHECKPOINT. */
const found = <T>(folder: string, name: string, call: Promise<T>) =>
  unlessMissing(call, 'E_CHECKPOINT', `checkpoint: ${folder} cannot be used: its ${name}`)

/** The newest folder in `folder`, other than `except`, that verifies. */
export async function newestWhole(folder: string, except?: string): Promise<string | undefined> {
  const names = (await readdir(folder).catch(() => [])).filter(
    (name) => name !== except && !name.startsWith('.'),
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
