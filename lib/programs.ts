// What other programs say: those of the system that may be missing.

import { execFile } from 'node:child_process'

/** Standard output, or null when the program is not there or fails. No shell is between. */
export function output(program: string, args: string[]): Promise<string | null> {
  return new Promise((settle) => {
    execFile(program, args, { timeout: 10_000 }, (error, stdout) => settle(error ? null : stdout))
  })
}

export interface Gpus {
  /** The NVIDIA driver's version, null where nvidia-smi is not there. */
  driver: string | null
  gpus: string[]
  /** CUDA_VISIBLE_DEVICES: which of `gpus` LibTorch may see; null if it is unset. */
  visible: string | null
}

export async function gpusOf(): Promise<Gpus> {
  const query = ['--query-gpu=driver_version,name,memory.total', '--format=csv,noheader']
  const rows = ((await output('nvidia-smi', query)) ?? '').split('\n').filter(Boolean)
  const cells = rows.map((row) => row.split(', '))
  return {
    driver: cells[0]?.[0] ?? null,
    gpus: cells.map(([, name, memory]) => `${name}, ${memory}`),
    visible: process.env.CUDA_VISIBLE_DEVICES ?? null,
  }
}
