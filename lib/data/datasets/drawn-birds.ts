// The drawn birds as a folder of JPEG files in the image-folder layout, beside a drawn-birds.json
// that says what is drawn. Drawn beside the root and moved there by rename, so that the folder is
// complete or not there, whoever draws it at the same time. A folder without the file is not ours
// and is never written into, nor is one of other options.

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { McLossError } from '../../errors.js'
import { systemReason, unlessMissing } from '../../files/system-errors.js'
import { textOf } from '../../files/text.js'
import { checkSeed } from '../../random.js'
import type { Dataset } from '../batch.js'
import { encodeGreyPng, encodeJpeg } from '../images.js'
import { forEachOf } from '../pool.js'
import { birdClassNames, MAX_BIRD_CLASSES } from './birds/classes.js'
import { drawBird } from './birds/drawing.js'
import { imageFolder } from './image-folder.js'
import type { ReaderOptions } from './lists/reader.js'

const count = z.int().min(1)

/** Keys of `data` in a configuration. */
export const drawnBirdsOptions = {
  classes: count.optional().describe('classes to draw, default 20'),
  firstClass: z.int().min(0).optional().describe('the kind to begin with, default 0'),
  trainPerClass: count.optional().describe('training images a class, default 30'),
  testPerClass: count.optional().describe('test images a class, default 50'),
  size: z.int().min(16).max(1000).optional().describe('side of the images, pixels, default 96'),
  seed: z.int().min(0).optional().describe('other images of the same classes, default 1'),
  masks: z
    .union([z.boolean(), z.literal('parts')], "expected true, false or 'parts'")
    .optional()
    .describe(
      "also write each bird's mask; parts: and that of the parts by which kinds of a family differ",
    ),
}

/**
 * Images in ROOT/{train,test}/CLASS, masks in ROOT/masks/{train,test}/CLASS as PNG, those of the parts
 * by which kinds differ in ROOT/parts/{train,test}/CLASS.
 */
export interface DrawnBirdsOptions extends z.output<z.ZodObject<typeof drawnBirdsOptions>> {
  root: string
  /** Stops the drawing with E_ABORTED; nothing of it is left. */
  signal?: AbortSignal | undefined
}

const SHEET = 'drawn-birds.json'
const JPEG_QUALITY = 92
const PARALLEL = 4 // drawings at a time, the threads sharp works on

/** What decides the images; the content of drawn-birds.json. */
type Parameters = ReturnType<typeof parametersOf>

/**
 * Draws the set if `root` does not hold it already, then reads it.
 *
 * @throws McLossError as writeDrawnBirds.
 */
export async function drawnBirds(options: DrawnBirdsOptions & ReaderOptions): Promise<Dataset> {
  await writeDrawnBirds(options)
  return { ...(await imageFolder(options)), name: 'drawn-birds' }
}

/**
 * Draws classes * (trainPerClass + testPerClass) images to ROOT/{train,test}/CLASS/NNN.jpg, unless
 * they are there already. The same options give the same bytes; more classes or images a class
 * leave the pixels of the others as they are.
 *
 * @throws McLossError E_CONFIG for parameters out of range, E_ARGUMENT for the seed, E_DATA for a
 * folder that holds other files or birds of other options, E_IO when a file cannot be written.
 */
export async function writeDrawnBirds(options: DrawnBirdsOptions): Promise<void> {
  const parameters = parametersOf(options)
  const root = resolve(options.root)
  const found = await findSheet(root)
  if (found) return requireSame(root, found, parameters)
  const unfinished = `${root}.part-${randomUUID()}`
  try {
    await mkdir(unfinished, { recursive: true })
    await drawAll(unfinished, parameters, options.signal)
    await writeFile(join(unfinished, SHEET), `${JSON.stringify(parameters, null, 2)}\n`)
    await rename(unfinished, root).catch(async (error) => {
      const other = await findSheet(root) // drawn by someone else meanwhile
      if (!other) throw error
      requireSame(root, other, parameters)
    })
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    throw new McLossError('E_IO', `drawn-birds: cannot write ${root}: ${systemReason(cause)}`, {
      cause,
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true }).catch(() => {}) // the first error counts
  }
}

function parametersOf(options: DrawnBirdsOptions) {
  const { classes = 20, firstClass = 0, trainPerClass = 30, testPerClass = 50 } = options
  const { size = 96, seed = 1 } = options
  checkSeed(seed)
  for (const [name, value, least, most] of [
    ['classes', classes, 1, MAX_BIRD_CLASSES],
    ['firstClass', firstClass, 0, MAX_BIRD_CLASSES - classes],
    ['trainPerClass', trainPerClass, 1, 100_000],
    ['testPerClass', testPerClass, 1, 100_000],
    ['size', size, 16, 1_000],
  ] as const) {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new McLossError(
        'E_CONFIG',
        `drawn-birds: expected ${name} to be an integer ${least}..${most} but received ${value}.`,
      )
    }
  }
  // `drawing` goes up whenever the same parameters would give other pixels.
  const counts = { classes, firstClass, trainPerClass, testPerClass }
  return { drawing: 1, ...counts, size, seed, masks: options.masks ?? false }
}

async function drawAll(root: string, parameters: Parameters, signal?: AbortSignal): Promise<void> {
  const { classes, firstClass, trainPerClass, testPerClass, size, seed, masks } = parameters
  const names = birdClassNames(classes, firstClass)
  const drawings: (() => Promise<void>)[] = []
  for (const [split, count] of Object.entries({ train: trainPerClass, test: testPerClass })) {
    const digits = Math.max(3, String(count - 1).length)
    for (const [label, name] of names.entries()) {
      const cls = firstClass + label
      const folder = join(split, name)
      await mkdir(join(root, folder), { recursive: true })
      for (const kind of maskFolders(masks)) {
        await mkdir(join(root, kind, folder), { recursive: true })
      }
      for (let index = 0; index < count; index++) {
        const file = join(folder, String(index).padStart(digits, '0'))
        const drawing = { cls, split: split as 'train' | 'test', index, seed, size, mask: masks }
        drawings.push(async () => {
          const { pixels, mask, parts } = await drawBird(drawing)
          const jpeg = await encodeJpeg({ pixels, width: size, height: size }, JPEG_QUALITY)
          await writeFile(join(root, `${file}.jpg`), jpeg)
          for (const [kind, drawn] of Object.entries({ masks: mask, parts })) {
            if (!drawn) continue
            const png = await encodeGreyPng(drawn, size, size)
            await writeFile(join(root, kind, `${file}.png`), png)
          }
        })
      }
    }
  }
  if (await forEachOf(drawings, PARALLEL, signal, (draw) => draw())) return
  throw new McLossError('E_ABORTED', `drawn-birds: stopped; nothing of ${root} is kept.`)
}

function maskFolders(masks: Parameters['masks']): string[] {
  if (!masks) return []
  return masks === 'parts' ? ['masks', 'parts'] : ['masks']
}

/** The sheet of a drawing; undefined for a folder that is empty or not there. */
async function findSheet(root: string): Promise<Record<string, unknown> | undefined> {
  const entries = await readdir(root).catch((cause) => {
    if (cause.code === 'ENOENT') return []
    const reason = systemReason(cause)
    throw new McLossError('E_DATA', `drawn-birds: ${root} cannot be used: ${reason}`, { cause })
  })
  if (entries.length === 0) return undefined
  const file = join(root, SHEET)
  const bytes = await unlessMissing(readFile(file), 'E_DATA', `drawn-birds: ${file} cannot be read`)
  const text = bytes ? textOf(bytes, { file, reader: 'drawn-birds', code: 'E_DATA' }) : ''
  try {
    const sheet: unknown = JSON.parse(text)
    // Sheets from before firstClass was an option do not name it.
    if (sheet instanceof Object && 'drawing' in sheet) return { firstClass: 0, ...sheet }
  } catch {} // refused below, as a folder without the file is
  throw new McLossError(
    'E_DATA',
    `drawn-birds: ${root} holds other files (no readable ${SHEET}) and is left alone. ` +
      'Name an empty or new folder as root.',
  )
}

function requireSame(root: string, found: Record<string, unknown>, wanted: Parameters): void {
  const differences = Object.entries(wanted)
    .filter(([key, value]) => found[key] !== value && !(key === 'masks' && hasMasks(found, wanted)))
    .map(([key, value]) => `${key} ${JSON.stringify(found[key])} instead of ${value}`)
  if (differences.length === 0) return
  throw new McLossError(
    'E_DATA',
    `drawn-birds: ${root} holds birds drawn with other options: ${differences.join(', ')}. ` +
      'Give the options it was drawn with, name another root, or delete the folder.',
  )
}

/** Masks that nobody asked for do no harm. */
function hasMasks({ masks }: Record<string, unknown>, wanted: Parameters): boolean {
  return masks === 'parts' || (masks === true && !wanted.masks)
}
