// How fast a configuration trains on this machine: images a second on resident noise, the same with
// other settings by turns, with the run's own data, and where a step's time goes. It recommends and
// changes nothing. lib/cli/reports/bench.ts puts the report into words.

import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { z } from 'zod'
import { callback, checkArgument, count, record, signal as signalShape } from '../arguments.js'
import { native, type OperatorTime } from '../binding.js'
import { type Config, type ConfigInput, completeConfig } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import {
  AIRCRAFT_OFFICIAL,
  CARS_OFFICIAL,
  CUB200_OFFICIAL,
  FLOWERS102_OFFICIAL,
  openDataset,
} from '../data/datasets/index.js'
import { openStores } from '../data/store/index.js'
import { McLossError } from '../errors.js'
import type { PrepareEvent, StoreEvent, WarningEvent } from '../events.js'
import { physicalCores } from '../machine.js'
import { type BenchData, syntheticData } from './batches.js'
import {
  alternatives,
  type Change,
  type Comparison,
  flagsOf,
  type Machine,
  recommendation,
  type Setting,
  settingOf,
  winners,
} from './settings.js'
import { profileOf, warmUp, withSteps } from './steps.js'

export interface BenchOptions {
  /** Turns of every setting, default 5. */
  rounds?: number | undefined
  /** Steps a turn is timed over; default: about a second of them, at least 3. */
  steps?: number | undefined
  /** Classes of the noise; default: those of the data set, where its name or object tells. */
  classes?: number | undefined
  /** Also measure other settings. Default true. */
  alternatives?: boolean | undefined
  /** Also train on the configuration's own data. Default false: data.root is not opened. */
  withData?: boolean | undefined
  /** Also tell where a step's time goes. Default false. */
  profile?: boolean | undefined
  signal?: AbortSignal | undefined
  onTurn?: ((turn: { round: number; rounds: number; setting: Setting } & Turn) => void) | undefined
  /** Of the data set and its store, with data. */
  onEvent?: ((event: PrepareEvent | WarningEvent | StoreEvent) => void) | undefined
}

const optionsShape = record({
  rounds: count.optional(),
  steps: count.optional(),
  classes: count.optional(),
  alternatives: z.boolean().optional(),
  withData: z.boolean().optional(),
  profile: z.boolean().optional(),
  signal: signalShape.optional(),
  onTurn: callback.optional(),
  onEvent: callback.optional(),
})

/** One turn of a setting: a fresh trainer, its first step, one to warm up, then the timed ones. */
export interface Turn {
  imagesPerSecond: number
  /** Making the trainer and its first step. */
  firstStepSeconds: number
  /** Mean over the timed steps. */
  loss: number
}

export interface Measured {
  setting: Setting
  /** In the order they ran. */
  turns: Turn[]
}

export interface BenchReport {
  device: string
  /** The processor's name. */
  cpu: string
  libtorch: string
  model: string
  loss: string
  batchSize: number
  /** [height, width] of what the network sees, pixels. */
  crop: [number, number]
  classes: number
  /** Timed, of every turn. */
  steps: number
  own: Measured
  alternatives: (Measured & Comparison)[]
  /** undefined: nothing measured pays. */
  recommended?: { flags: string[]; ratios: number[] }
  data?: { imagesPerSecond: number; dataWait: number; steps: number; store: StoreEvent['mode'] }
  /** Of one step, longest first. */
  profile?: OperatorTime[]
}

/**
 * Measures. Every turn makes a trainer of its own, so that one is alive at a time; the settings take
 * turns, forwards and backwards.
 *
 * @throws McLossError E_ARGUMENT, E_CONFIG, E_DEVICE, E_OOM for a configuration that cannot train, E_DATA
 * and E_IMAGE with data, E_ABORTED.
 */
export async function bench(
  given: Config | ConfigInput,
  options: BenchOptions = {},
): Promise<BenchReport> {
  const config = completeConfig('bench', given)
  checkArgument('bench', 'options', optionsShape, options)
  native().checkDevice(config.device)
  const { withData, profile } = options
  const dataset = withData
    ? await openDataset({ ...config.data, signal: options.signal })
    : undefined
  for (const message of dataset?.warnings ?? []) options.onEvent?.({ type: 'warning', message })
  const classes = dataset?.classes.length ?? options.classes ?? classesOf(config)
  const noise = await syntheticData(config, classes)
  try {
    const steps = options.steps ?? (await stepsOfASecond(config, noise))
    const measured = await compare(config, noise, steps, options)
    return {
      device: config.device,
      cpu: cpus()[0]?.model.trim() ?? '',
      libtorch: native().buildInfo().libtorch,
      model: `${config.model.backbone}, ${config.model.head} head`,
      loss: config.loss.name,
      batchSize: config.optim.batchSize,
      crop: config.data.crop,
      classes,
      steps,
      ...measured,
      ...(dataset && { data: await benchData(config, dataset, steps, options) }),
      ...(profile && { profile: await profileOf(config, noise) }),
    }
  } finally {
    noise.close()
  }
}

/** By name where the data is not opened: what a class count changes is the last layer. */
/** As far as they are known without opening the data; else those of CUB. */
function classesOf({ data }: Config): number {
  const official: Partial<Record<Config['data']['name'], number>> = {
    'drawn-birds': 20,
    'fgvc-aircraft': AIRCRAFT_OFFICIAL[data.level ?? 'variant'].classes,
    flowers102: FLOWERS102_OFFICIAL.classes,
    'stanford-cars': CARS_OFFICIAL.classes,
  }
  const known = data.dataset?.classes.length ?? data.classes ?? official[data.name]
  return known ?? CUB200_OFFICIAL.classes
}

async function compare(config: Config, noise: BenchData, steps: number, options: BenchOptions) {
  const own: Measured = { setting: settingOf(config), turns: [] }
  const changes = options.alternatives === false ? [] : alternatives(config, thisMachine())
  const others = await byTurns(config, noise, steps, own, changes, options)
  // Several winners are recommended together only after they were measured together.
  const together: Change = Object.assign({}, ...winners(others))
  if (Object.keys(together).length > 1) {
    const pair: Measured = { setting: settingOf(config), turns: [] }
    others.push(...(await byTurns(config, noise, steps, pair, [together], options)))
  }
  const best = recommendation(others)
  return {
    own,
    alternatives: others,
    ...(best && { recommended: { flags: flagsOf(best.change), ratios: best.ratios } }),
  }
}

/** Measures `own` (its turns are added) and every change of it, A B C, C B A, ... */
async function byTurns(
  config: Config,
  noise: BenchData,
  steps: number,
  own: Measured,
  changes: Change[],
  { rounds = 5, signal, onTurn }: BenchOptions,
): Promise<(Measured & Comparison)[]> {
  const others = changes.map((change) => ({
    setting: { ...own.setting, ...change },
    change,
    turns: [] as Turn[],
  }))
  for (let round = 0; round < rounds; round++) {
    const sides: Measured[] = [own, ...others]
    for (const { setting, turns } of round % 2 ? sides.reverse() : sides) {
      if (signal?.aborted) throw new McLossError('E_ABORTED', 'bench: stopped by its AbortSignal.')
      const turn = await takeTurn({ ...config, ...setting }, noise, steps)
      turns.push(turn)
      onTurn?.({ round, rounds, setting, ...turn })
    }
  }
  const speed = (side: Measured, round: number) => side.turns[round]?.imagesPerSecond ?? Number.NaN
  return others.map((side) => ({
    ...side,
    ratios: side.turns.map((turn, round) => turn.imagesPerSecond / speed(own, round)),
  }))
}

async function takeTurn(config: Config, noise: BenchData, steps: number): Promise<Turn> {
  return withSteps(config, noise, async (run, began) => {
    await run(1)
    const firstStepSeconds = (performance.now() - began) / 1000
    await run(warmUp(config))
    const { imagesPerSecond, loss } = await run(steps)
    return { imagesPerSecond, firstStepSeconds, loss }
  })
}

async function stepsOfASecond(config: Config, noise: BenchData): Promise<number> {
  return withSteps(config, noise, async (run) => {
    await run(1 + warmUp(config))
    const { imagesPerSecond } = await run(2)
    return Math.min(500, Math.max(3, Math.ceil(imagesPerSecond / config.optim.batchSize)))
  })
}

async function benchData(
  config: Config,
  dataset: Dataset,
  steps: number,
  { rounds = 5, signal, onEvent }: BenchOptions,
): Promise<NonNullable<BenchReport['data']>> {
  const stores = await openStores(dataset, config, { signal, onEvent })
  onEvent?.(stores.event)
  try {
    return await withSteps(
      config,
      { dataset, source: stores.train },
      async (run) => {
        await run(1 + warmUp(config))
        const count = steps * rounds
        const { imagesPerSecond, dataWait } = await run(count)
        return { imagesPerSecond, dataWait, steps: count, store: stores.event.mode }
      },
      signal,
    )
  } finally {
    stores.close()
  }
}

function thisMachine(): Machine {
  return { physicalCores: physicalCores(), multipliesBf16: multipliesBf16() }
}

function multipliesBf16(): boolean {
  try {
    return /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return false // a system that does not say
  }
}
