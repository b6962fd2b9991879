// What is found on this machine: the LibTorch the add-on was built with, the add-on, CUDA, the
// build tools, and whether a loss computed here is right. Gathers only; lib/cli/reports/doctor.ts puts
// it into words.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cxx, findNvcc } from '../scripts/setup/compilers.mjs'
import { addonPath, type BuildInfo, native } from './binding.js'
import { decoderVersion } from './data/images.js'
import { reasonOf } from './errors.js'
import { faultAt } from './files/system-errors.js'
import { type ReplacedLibrary, replacedLibraries } from './libraries.js'
import { packageVersion } from './machine.js'
import { mcLoss } from './mc-loss.js'

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
  cuda: {
    /** Devices LibTorch sees; 0 for a CPU build. */
    deviceCount: number
    /** The NVIDIA driver's version, null where nvidia-smi is not there. */
    driver: string | null
    gpus: string[]
    /** CUDA_VISIBLE_DEVICES: which of `gpus` LibTorch may see; null if it is unset. */
    visible: string | null
  }
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
    cuda: { deviceCount: addon.loaded ? native().deviceCount() : 0, ...gpus },
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

async function gpusOf(): Promise<Omit<DoctorReport['cuda'], 'deviceCount'>> {
  const query = ['--query-gpu=driver_version,name,memory.total', '--format=csv,noheader']
  const rows = ((await output('nvidia-smi', query)) ?? '').split('\n').filter(Boolean)
  const cells = rows.map((row) => row.split(', '))
  return {
    driver: cells[0]?.[0] ?? null,
    gpus: cells.map(([, name, memory]) => `${name}, ${memory}`),
    visible: process.env.CUDA_VISIBLE_DEVICES ?? null,
  }
}

/** The first line that `pattern` matches. */
async function versionOf(command: string[], pattern = /\d/): Promise<string | null> {
  const [tool = '', ...args] = command
  const lines = ((await output(tool, [...args, '--version'])) ?? '').split('\n')
  return lines.find((line) => pattern.test(line))?.trim() ?? null
}

/** Standard output, or null when the program is not there or fails. */
function output(program: string, args: string[]): Promise<string | null> {
  return new Promise((settle) => {
    execFile(program, args, { timeout: 10_000 }, (error, stdout) => settle(error ? null : stdout))
  })
}
