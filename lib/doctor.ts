// What is found on this machine: the LibTorch the add-on was built with, the add-on, CUDA, the
// build tools, and whether a loss computed here is right. Gathers only; lib/cli/reports/doctor.ts puts
// it into words.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cxx, findNvcc } from '../scripts/setup/compilers.mjs'
import { addonPath, type BuildInfo, type NativeAddon, native } from './binding.js'
import { decoderVersion } from './data/images.js'
import { reasonOf } from './errors.js'
import { faultAt } from './files/system-errors.js'
import { type ReplacedLibrary, replacedLibraries } from './libraries.js'
import { packageVersion } from './machine.js'
import { mcLoss } from './mc-loss.js'
import { type Gpus, gpusOf, output } from './programs.js'

export interface LibtorchRecord {
  path: string
  version: string
  /** A CUDA build. */
  cuda: boolean
  /** Who named it: 'LIBTORCH', '--libtorch', 'python3' or 'cache'. */
  source: string
}

export type DecoderRecord = { version: string } | { error: string }

export interface DoctorReport {
  /** The add-on loads and computes a loss right, and images can be decoded. */
  ok: boolean
  mcloss: string
  node: string
  platform: string
  /** The LibTorch the add-on was built with; null when this package has built none. */
  libtorch: (LibtorchRecord & { present: boolean; fault?: string }) | null
  addon: { path: string; loaded: boolean; error?: string }
  /** Libraries of that LibTorch in whose place others are loaded. */
  replaced: ReplacedLibrary[]
  buildInfo: BuildInfo | null
  /** The decoder of images: its version, or why it does not load and what to do. */
  sharp: DecoderRecord
  /**
   * deviceCount: devices LibTorch sees; 0 for a CPU build. fault: why no trainer can use the first of
   * them; null if one can, and where there is none.
   */
  cuda: Gpus & { deviceCount: number; fault: string | null }
  /** First line of each tool's version; null where a build would not find it. */
  tools: { compiler: string | null; cmake: string | null; nvcc: string | null }
  tinyRun: { ok: boolean; detail: string }
}

/** Looks at everything; never throws for what is missing, the report says it. */
export async function doctor(): Promise<DoctorReport> {
  const addon = loadAddon()
  const tinyRun = await runTiny(addon.loaded)
  const [sharp, gpus, compiler, cmake, nvcc] = await Promise.all([
    sharpRecord(),
    gpusOf(),
    versionOf(cxx()),
    versionOf(['cmake']),
    versionOf([findNvcc() ?? 'nvcc'], /release [\d.]+/),
  ])
  const libtorch = libtorchRecord(addon.path)
  return {
    ok: addon.loaded && tinyRun.ok && 'version' in sharp,
    mcloss: packageVersion(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    libtorch,
    addon,
    replaced: libtorch ? replacedLibraries(libtorch.path) : [],
    buildInfo: addon.loaded ? native().buildInfo() : null,
    cuda: { ...(addon.loaded ? gpuUse(native()) : { deviceCount: 0, fault: null }), ...gpus },
    sharp,
    tools: { compiler, cmake, nvcc },
    tinyRun,
  }
}

function loadAddon(): DoctorReport['addon'] {
  const path = addonPath()
  try {
    native()
    return { path, loaded: true }
  } catch (error) {
    return { path, loaded: false, error: reasonOf(error) }
  }
}

/** Whether a trainer can use the GPUs that LibTorch sees. */
export function gpuUse(
  addon: Pick<NativeAddon, 'deviceCount' | 'checkDevice'>,
): Pick<DoctorReport['cuda'], 'deviceCount' | 'fault'> {
  const deviceCount = addon.deviceCount()
  try {
    if (deviceCount > 0) addon.checkDevice('cuda')
    return { deviceCount, fault: null }
  } catch (error) {
    return { deviceCount, fault: reasonOf(error) }
  }
}

function sharpRecord(): Promise<DecoderRecord> {
  return decoderVersion().then(
    (version) => ({ version }),
    (error) => ({ error: reasonOf(error) }),
  )
}

/** Written by scripts/setup/build.mjs into the folder of the build; null if it cannot be read. */
function libtorchRecord(addon: string): DoctorReport['libtorch'] {
  try {
    const text = readFileSync(join(dirname(addon), '..', 'libtorch.json'), 'utf8')
    const { path, version, cuda, source } = JSON.parse(text) as LibtorchRecord
    const fault = faultAt(join(path, 'lib'))
    return { path, version, cuda, source, present: !fault, ...(fault && { fault }) }
  } catch {
    return null
  }
}

/**
 * One sample, two classes of one channel each, two positions. By hand: g = (2, 1), so
 * L_dis = ln(1 + 1/e); one channel a class makes h = 1, so L_div = 1.
 */
async function runTiny(loaded: boolean): Promise<DoctorReport['tinyRun']> {
  if (!loaded) return { ok: false, detail: 'not run: the add-on is not loaded' }
  const expected = Math.log1p(Math.exp(-1)) - 1
  try {
    const { loss } = await mcLoss({
      features: Float32Array.of(1, 3, 2, 0),
      shape: [1, 2, 2, 1],
      target: Int32Array.of(0),
      numClasses: 2,
      form: 'paper',
      mu: 1,
      lambda: 1,
    })
    const ok = Math.abs(loss - expected) < 1e-5
    return { ok, detail: `MC-Loss ${loss.toFixed(6)}, expected ${expected.toFixed(6)}` }
  } catch (error) {
    return { ok: false, detail: reasonOf(error) }
  }
}

/** The first line that `pattern` matches. */
async function versionOf(command: string[], pattern = /\d/): Promise<string | null> {
  const [tool = '', ...args] = command
  const lines = ((await output(tool, [...args, '--version'])) ?? '').split('\n')
  return lines.find((line) => pattern.test(line))?.trim() ?? null
}
