// Where fetched weights lie, and where torch and Hugging Face may have put the same files before.

import { existsSync } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { pathVariable, userCache } from '../../scripts/setup/environment.mjs'
import { McLossError } from '../errors.js'
import { faultAt } from '../files/system-errors.js'
import { type WeightRecord, weightRecord, weightRecords } from './records.js'

type Env = NodeJS.ProcessEnv

export function weightsFolder(env: Env = process.env): string {
  return pathVariable('MCLOSS_WEIGHTS_DIR', env) ?? join(userCache(env), 'mcloss', 'weights')
}

/** Of a record's file in a folder of weights: its own may be 'model.safetensors', as many are. */
export const fileNameOf = ({ name, url }: WeightRecord) => `${name}${extname(url)}`

/**
 * What `model.weights` means: a file, or the name of a record that was fetched before.
 *
 * @throws McLossError E_WEIGHTS when it is neither, with the command that helps.
 */
export function weightsFile(nameOrPath: string): { path: string; record?: WeightRecord } {
  const fault = faultAt(nameOrPath)
  if (fault === undefined) return { path: nameOrPath }
  const record = weightRecord(nameOrPath)
  const path = record && join(weightsFolder(), fileNameOf(record))
  const unfetched = path && faultAt(path)
  if (record && path && unfetched === undefined) return { path, record }
  const isName = !nameOrPath.includes('/')
  throw new McLossError(
    'E_WEIGHTS',
    path
      ? `weights: ${nameOrPath} is not fetched yet: expected it at ${path}: ${unfetched}. Run 'mcloss weights ` +
          `fetch ${nameOrPath}'.`
      : `weights: the file ${nameOrPath}: ${fault}${isName ? `; nor is it one of the names ${names()}` : ''}.`,
  )
}

export const names = () => weightRecords.map(({ name }) => name).join(', ')

/** A file that may be the one that is wanted. */
export interface Copy {
  path: string
  /** By which the cache's owner named it; null: unknown. */
  sha256: string | null
}

/** Of a file that torch.hub has fetched from `url`, or timm under the record's name. */
export async function copiesElsewhere(url: string, record?: WeightRecord): Promise<Copy[]> {
  const torch = [pathVariable('TORCH_HOME'), join(userCache(), 'torch')].flatMap((home) =>
    home ? [join(home, 'hub', 'checkpoints', basename(new URL(url).pathname))] : [],
  )
  const face = pathVariable('HF_HOME') ?? join(userCache(), 'huggingface')
  const hub = pathVariable('HF_HUB_CACHE') ?? join(face, 'hub')
  const snapshots = join(hub, `models--timm--${record?.name}`, 'snapshots')
  const revisions = record ? await readdir(snapshots).catch(() => []) : []
  const paths = [
    ...torch,
    ...revisions.map((revision) => join(snapshots, revision, basename(url))),
  ].filter((path) => existsSync(path))
  return Promise.all(paths.map(async (path) => ({ path, sha256: await blobHash(path) })))
}

/** A snapshot's file is a link to a blob, which is named by its SHA-256. */
async function blobHash(path: string): Promise<string | null> {
  const name = basename(await realpath(path))
  return /^[0-9a-f]{64}$/.test(name) ? name : null
}
