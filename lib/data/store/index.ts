// The stores of a run: decides, builds what is missing, opens both splits for the native trainer.

import { freemem } from 'node:os'
import { join, resolve } from 'node:path'
import { checkArgument } from '../../arguments.js'
import { native, type StoreMode } from '../../binding.js'
import { McLossError } from '../../errors.js'
import type { PrepareEvent, StoreEvent, WarningEvent } from '../../events.js'
import { type BadImages, badImages, type OnBadImage } from '../bad-images.js'
import { type Dataset, type Sample, SPLITS, type Split } from '../batch.js'
import { datasetShape } from '../datasets/lists/check.js'
import { decoderName, decodeTo } from '../images.js'
import { openShape, storeShape } from '../shapes.js'
import { buildStore, bytesToBuild, freeDisk, recheck, wrongRows } from './build.js'
import { readStore, storeIdentity, storeLayout } from './format.js'
import { chooseStore, type StoreChoice } from './mode.js'

const PROGRESS_MS = 500

/** What stores need of a run's configuration; a Config is one. */
export interface StoreOptions {
  /** Of the run folders; stores lie in its folder `stores` unless data.storeDir names another. */
  out: string
  device: 'cpu' | 'cuda'
  data: {
    /** Every image is resized to this: [height, width], pixels. */
    resize: readonly [number, number]
    decoders: number
    store: 'auto' | StoreChoice
    storeDir?: string | undefined
    onBadImage: OnBadImage
  }
}

export interface OpenOptions {
  signal?: AbortSignal | undefined
  onEvent?: ((event: PrepareEvent | WarningEvent) => void) | undefined
}

/** One split for the loader: its open store, if there is one, and what is left out of it. */
export interface SplitSource {
  /** As native().openStore gave it; undefined: the loader decodes. */
  store: number | undefined
  badImages: BadImages
}

export interface Stores extends Record<Split, SplitSource> {
  /** What was chosen, and why. */
  event: StoreEvent
  /** Frees what is open; steps in flight may go on. */
  close(): void
}

/**
 * Opens the stores of both splits, building those that are not there (`prepareStores`). A split without
 * images has none.
 *
 * @throws McLossError E_CONFIG for gpu without device cuda; E_IO where the disk is too small or cannot
 * be written; E_DATA for a damaged store; E_IMAGE for a file that cannot be decoded, unless
 * data.onBadImage is skip; E_ABORTED.
 */
export async function openStores(
  dataset: Dataset,
  options: StoreOptions,
  open: OpenOptions = {},
): Promise<Stores> {
  checkArguments('openStores', dataset, options, open)
  const { signal, onEvent } = open
  const plans = await plansOf(dataset, options, onEvent)
  const { mode, reason } = await choose(plans, options)
  const opened: number[] = []
  const sources = {} as Record<Split, SplitSource>
  try {
    for (const plan of plans) {
      const { split, samples, badImages } = plan
      if (mode === 'off' || samples.length === 0) {
        sources[split] = { store: undefined, badImages }
        continue
      }
      await build(plan, options, signal, onEvent)
      const store = await openPlan(plan, mode)
      opened.push(store)
      sources[split] = { store, badImages }
    }
  } catch (error) {
    for (const store of opened) native().closeStore(store)
    throw error
  }
  const stored = plans.filter(({ samples }) => mode !== 'off' && samples.length > 0)
  const files = stored.map(({ path }) => path)
  return {
    ...sources,
    event: { type: 'store', mode, reason, bytes: totalBytes(plans), files },
    close: () => {
      for (const store of opened.splice(0)) native().closeStore(store)
    },
  }
}

/**
 * Builds the stores of both splits without opening them, whatever data.store says. `verify` reads
 * those that are there against their checksums.
 *
 * @throws McLossError as openStores; E_DATA for a store with a pixel that is not as it was decoded.
 */
export async function prepareStores(
  dataset: Dataset,
  options: StoreOptions,
  open: OpenOptions & { verify?: boolean } = {},
): Promise<StoreEvent> {
  checkArguments('prepareStores', dataset, options, open)
  const { signal, onEvent, verify = false } = open
  const plans = await plansOf(dataset, options, onEvent)
  const wanted = { ...options, data: { ...options.data, store: 'mmap' as const } }
  const { mode, reason } = await choose(plans, wanted)
  for (const plan of plans) {
    await build(plan, options, signal, onEvent)
    if (!verify) continue
    const wrong = await wrongRows(plan.path, signal)
    if (wrong.length > 0) {
      throw new McLossError(
        'E_DATA',
        `store: ${wrong.length} images of ${plan.path} are not as they were decoded, the first is ` +
          `row ${wrong[0]}. Delete the file; the next run decodes the images anew.`,
      )
    }
  }
  const files = plans.map(({ path }) => path)
  return { type: 'store', mode, reason, bytes: totalBytes(plans), files }
}

function checkArguments(who: string, dataset: unknown, options: unknown, open: unknown): void {
  checkArgument(who, 'dataset', datasetShape, dataset)
  checkArgument(who, 'options', storeShape, options)
  checkArgument(who, 'open', openShape, open)
}

interface Plan {
  split: Split
  samples: Sample[]
  path: string
  key: string
  layout: { count: number; height: number; width: number }
  badImages: BadImages
}

async function plansOf(
  dataset: Dataset,
  options: StoreOptions,
  onEvent: OpenOptions['onEvent'],
): Promise<Plan[]> {
  const { data } = options
  const [height, width] = data.resize
  const folder = storeFolder(options)
  return Promise.all(
    SPLITS.map(async (split) => {
      const samples = dataset[split]
      const { name, key } = await storeIdentity(samples, data.resize, await decoderName())
      const file = `${dataset.name ?? 'own'}-${split}-${height}x${width}-${name}.store`
      const onSkip = (message: string) => onEvent?.({ type: 'warning', message })
      return {
        split,
        samples,
        key,
        path: join(folder, file.replace(/[^\w.-]/g, '_')),
        layout: { count: samples.length, height, width },
        badImages: badImages(data.onBadImage, samples, onSkip),
      }
    }),
  )
}

const storeFolder = ({ data, out }: StoreOptions) => resolve(data.storeDir ?? join(out, 'stores'))

const totalBytes = (plans: Plan[]) =>
  plans.reduce((sum, { layout }) => sum + storeLayout(layout).fileBytes, 0)

async function choose(plans: Plan[], options: StoreOptions) {
  const { data, device } = options
  const folder = storeFolder(options)
  let toBuild = 0
  for (const { path, key, layout } of plans) {
    const found = data.store === 'off' ? undefined : await readStore(path, key)
    if (found?.is !== 'whole') toBuild += await bytesToBuild(path, key, layout)
  }
  return chooseStore({
    wanted: data.store,
    device,
    bytes: totalBytes(plans),
    toBuild,
    folder,
    freeDisk: data.store === 'off' ? 0 : await freeDisk(folder),
    freeMemory: freemem(),
    freeDeviceMemory: device === 'cuda' ? native().freeDeviceMemory() : 0,
  })
}

async function build(
  plan: Plan,
  { data }: StoreOptions,
  signal: AbortSignal | undefined,
  onEvent: OpenOptions['onEvent'],
): Promise<void> {
  const { path, key, samples, split, badImages } = plan
  let found = await readStore(path, key)
  const warn = (message: string) => onEvent?.({ type: 'warning', message })
  if (found.is === 'unflushed') {
    const right = await recheck(path, found.header, signal)
    if (right) found = await readStore(path, key)
    else warn(`store: ${path} had not reached the disk when the machine stopped; it is built anew`)
  }
  if (found.is === 'whole') return takeBad(plan, found.bad)
  if (found.is === 'stale') warn(`store: the files behind ${path} have changed; it is built anew`)
  const total = samples.length
  const began = performance.now()
  let said = began
  const onProgress = (done: number) => {
    const now = performance.now()
    if (done < total && now - said < PROGRESS_MS) return
    said = now
    onEvent?.({ type: 'prepare', split, done, total, seconds: (now - began) / 1000 })
  }
  const { decoders, resize } = data
  await buildStore({ path, key, samples, size: resize, decoders, badImages, signal, onProgress })
}

/** What an earlier build has left out is reported as if it had just been found. */
async function takeBad(
  { path, samples, badImages }: Plan,
  bad: ReadonlySet<number>,
): Promise<void> {
  for (const index of bad) {
    const sample = samples[index] as Sample
    const error = await decodeTo(sample, [1, 1], new Uint8Array(3)).then(
      () => decodesNow(sample, path),
      (reason: unknown) => reason,
    )
    badImages.report(index, error)
  }
}

function decodesNow(sample: Sample, path: string): McLossError {
  return new McLossError(
    'E_IMAGE',
    `store: ${sample.path} could not be decoded when ${path} was built, and can be now. Delete the ` +
      'store; the next run decodes the images anew.',
  )
}

async function openPlan({ path, key }: Plan, mode: StoreMode): Promise<number> {
  const found = await readStore(path, key)
  if (found.is !== 'whole') {
    throw new McLossError('E_DATA', `store: ${path} went away while it was opened. Start again.`)
  }
  const { count, height, width } = found.header
  const { fileBytes, imageAt } = storeLayout(found.header)
  return native().openStore({ path, mode, fileBytes, offset: imageAt(0), count, height, width })
}
