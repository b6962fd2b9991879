// The paths of a configuration. They are made absolute once, so that a run that goes on from another
// folder finds its data, and every message shows where it looked.

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { weightRecord } from '../weights/records.js'
import type { Problem } from './errors.js'
import type { ParsedConfig } from './schema.js'

type Part = 'out' | 'data' | 'model' | 'explain'

/** With absolute paths; relative ones are of the folder that the process runs in. */
export function withAbsolutePaths<From extends Pick<ParsedConfig, Part>>(config: From): From {
  const { out, data, model, explain } = config
  return {
    ...config,
    out: resolve(out),
    explain: { ...explain, images: explain.images.map((path) => resolve(path)) },
    data: {
      ...data,
      ...(data.root !== undefined && { root: resolve(data.root) }),
      ...(data.storeDir !== undefined && { storeDir: resolve(data.storeDir) }),
    },
    model: {
      ...model,
      ...(model.weights !== undefined && { weights: absoluteWeights(model.weights) }),
    },
  }
}

/** The name of published weights stays one; a file of that name in the folder comes before it. */
const absoluteWeights = (weights: string) => (weightRecord(weights) ? weights : resolve(weights))

/** A folder named ~ would be made in the folder that the process runs in. */
export function homeProblems({ out, data, model, explain }: Pick<ParsedConfig, Part>) {
  const paths: [PropertyKey[], string | undefined][] = [
    [['out'], out],
    [['data', 'root'], data.root],
    [['data', 'storeDir'], data.storeDir],
    [['model', 'weights'], model.weights],
    ...explain.images.map((path, at): [PropertyKey[], string] => [['explain', 'images', at], path]),
  ]
  return paths.flatMap(([path, given = '']): Problem[] => {
    if (!/^~(\/|$)/.test(given)) return []
    const meant = join(homedir(), given.slice(1))
    return [{ path, message: `~ is put in by shells alone: write ${meant}, or ./${given}` }]
  })
}
