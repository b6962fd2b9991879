// explain: a folder with a page of pictures and the maps of the two classes that the model finds most
// probable, as PNG files and as numbers.

import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, text } from '../arguments.js'
import { nativeConfig } from '../config/index.js'
import { encodePng, type Image } from '../data/images.js'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import type { ClassMaps } from '../maps/class-maps.js'
import { groupsOf } from '../maps/groups.js'
import { heatOver } from '../maps/heat.js'
import { overlapOf } from '../maps/overlap.js'
import { fitted } from '../pictures/paste.js'
import { type Model, openModel, tellNative } from '../predict/model.js'
import { picturesOf } from '../predict/pictures.js'
import { type ChannelMapsOptions, modelShape } from './channel-maps.js'
import { type ConfusedPair, confusedPairs, confusedSheet } from './confused.js'
import { type Explained, type ExplainedClass, ROLES, type Role } from './explained.js'
import { pageOf } from './page.js'
import { type Seen, seeEach } from './see.js'

export interface ExplainOptions extends ChannelMapsOptions {
  /** A new or empty folder. */
  out: string
  /** Also a sheet of the pairs of classes that are most confused on the model's test split. */
  confused?: boolean
}

export interface Explanation {
  /** index.html */
  page: string
  pictures: Explained[]
  confused: ConfusedPair[]
}

const explainShape = modelShape.extend({ out: text, confused: z.boolean().optional() })
const LEAST_SIDE = 192 // pixels of a picture's longer side on the page
const MOST_SIDE = 512

/**
 * Writes OUT/index.html, maps.json and the PNG files they name; a picture that cannot be decoded is named
 * in both and left out.
 *
 * @throws McLossError as channelMaps; E_IO for a folder that holds files or cannot be written; E_DATA,
 * E_IMAGE for a test split that cannot be used, with `confused`.
 */
export async function explain(options: ExplainOptions): Promise<Explanation> {
  checkArgument('explain', 'options', explainShape, options)
  const out = resolve(options.out)
  await openFolder(out)
  const model = await openModel(options)
  try {
    const groups = groupsOf('explain', nativeConfig(model.config, model.classes.length).model)
    const pictures = await picturesOf('explain', options.images, model.warn)
    const pairs = options.confused ? await confusedPairs(model) : []
    const found: Explained[] = pictures.map(({ path }) => ({ path, classes: [] }))
    const labelsOf = (_: number, best: number[]) => best.slice(0, ROLES.length)
    await seeEach(pictures, { who: 'explain', model, groups, labelsOf }, async (n, seen) => {
      Object.assign(found[n] as Explained, await drawn(out, n, seen, model))
    })
    for (const [n, { error }] of pictures.entries()) {
      if (error) (found[n] as Explained).error = error
    }
    if (pairs.length > 0) {
      await write(join(out, 'confused.png'), await confusedSheet(pairs, model, groups))
    }
    await tellNative(model)
    await write(join(out, 'maps.json'), mapsJson(model, found, pairs))
    const page = join(out, 'index.html')
    await write(page, pageOf({ ...options, weights: model.file, pictures: found, pairs }))
    return { page, pictures: found, confused: pairs }
  } finally {
    await model.trainer.dispose()
  }
}

/** Nothing is overwritten, and no file of an earlier call stays between those of this one. */
async function openFolder(out: string): Promise<void> {
  const refuse = (what: string, cause?: unknown) => {
    const message = `explain: expected out to be a new or empty folder, but ${out} ${what}`
    return new McLossError('E_IO', message, { cause })
  }
  const found = await mkdir(out, { recursive: true })
    .then(() => readdir(out))
    .catch((cause) => {
      throw refuse(`cannot be used: ${systemReason(cause)}`, cause)
    })
  if (found.length > 0) throw refuse(`holds files, the first ${found[0]}. Name another folder.`)
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content).catch((cause) => {
    const reason = systemReason(cause, 'Name another folder as out.')
    throw new McLossError('E_IO', `explain: ${path} cannot be written: ${reason}`, { cause })
  })
}

/** Draws a picture and its maps. */
async function drawn(
  out: string,
  n: number,
  { picture, probabilities, maps }: Seen,
  { classes }: Model,
): Promise<Partial<Explained>> {
  const number = String(n).padStart(3, '0')
  const image = await fitted(picture, LEAST_SIDE, MOST_SIDE)
  const save = async (name: string, content: Image) => {
    await write(join(out, `${number}-${name}.png`), await encodePng(content))
    return `${number}-${name}.png`
  }
  const drawClass = async (of: ClassMaps, at: number): Promise<ExplainedClass> => {
    const { label, group, shape, h } = of
    const [channels, height, width] = shape
    const most = Math.max(...of.ccmp)
    const role = ROLES[at] as Role
    const saveMap = (name: string, values: Float32Array) =>
      save(`${role}-${name}`, heatOver(image, values, [height, width], most))
    const ccmp = await saveMap('ccmp', of.ccmp)
    const files: string[] = []
    for (let channel = 0; channel < channels; channel++) {
      const map = of.maps.subarray(channel * height * width, (channel + 1) * height * width)
      files.push(await saveMap(`channel-${group.begin + channel}`, map))
    }
    return {
      ...{ role, class: classes[label] as string, label },
      probability: probabilities[label] as number,
      ...{ group, shape, h, overlap: overlapOf(of.maps, shape) ?? null },
      files: { ccmp, channels: files },
      ...{ maps: numbersOf(of.maps), ccmp: numbersOf(of.ccmp) },
    }
  }
  const file = await save('picture', image)
  const explained: ExplainedClass[] = []
  for (const [at, of] of maps.entries()) explained.push(await drawClass(of, at))
  return { file, size: [image.height, image.width], classes: explained }
}

/** Nine digits tell one float32 from the next. */
const numbersOf = (values: Float32Array) => Array.from(values, (v) => Number(v.toPrecision(9)))

function mapsJson({ file }: Model, pictures: Explained[], confused: ConfusedPair[]): string {
  const rows = pictures.map(({ path, file: picture, classes, error }) => ({
    path,
    ...(error
      ? { error: { code: error.code, message: error.message } }
      : { file: picture, classes }),
  }))
  return `${JSON.stringify({ weights: file, pictures: rows, confused })}\n`
}
