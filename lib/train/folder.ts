// The folder of one run: config.json, metrics.jsonl, the records of lib/records, checkpoints/, the links last
// and best, and while it runs claim.json.

import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Config, configToJson } from '../config/index.js'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'

/**
 * Makes a new folder under config.out: config.name, or date-data-backbone-loss; a name that is
 * taken gets -2, -3, ... Returns its absolute path.
 *
 * @throws McLossError E_IO when it cannot be made.
 */
export async function createRunDir(config: Config): Promise<string> {
  const day = new Date().toISOString().slice(0, 10)
  const name =
    config.name ?? [day, config.data.name, config.model.backbone, config.loss.name].join('-')
  const out = resolve(config.out)
  try {
    await mkdir(out, { recursive: true })
    const runDir = await makeFree(join(out, name))
    await writeFile(
      join(runDir, 'config.json'),
      `${JSON.stringify(configToJson(config), null, 2)}\n`,
    )
    return runDir
  } catch (cause) {
    throw new McLossError(
      'E_IO',
      `train: the run folder ${join(out, name)} could not be made: ${systemReason(cause)} ` +
        'out can name another folder.',
      { cause },
    )
  }
}

/** mkdir without `recursive` is the test and the making in one, also between processes. */
async function makeFree(path: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const candidate = attempt === 1 ? path : `${path}-${attempt}`
    try {
      await mkdir(candidate)
      return candidate
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}
