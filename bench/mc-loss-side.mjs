// What the benchmarks of the operator share: the Python process that has loaded libmcloss_ops.so, and
// how its answers are printed.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { requirePython, startPeer } from './python.mjs'
import { median } from './statistics.mjs'

export const opsLibrary = fileURLToPath(
  new URL('../build/Release/libmcloss_ops.so', import.meta.url),
)
export const weights = { alpha: 1.5, beta: 20 }

/** -> the process that runs bench/peers/`script`, its torch version, and the GPU it sees. */
export async function startSide({ script, python, threads }) {
  if (!existsSync(opsLibrary)) {
    console.error(`bench: ${opsLibrary} is not there; npm run build makes it.`)
    process.exit(1)
  }
  const torch = requirePython(python, [])
  const side = startPeer(python, script)
  const { gpu } = await side.ask('setup', { library: opsLibrary, threads })
  return { side, torch, gpu }
}

export function nameOf({ shape, layout, dtype }) {
  return `[${shape}] ${dtype} ${layout}`
}

/** Whether the forms of a row hold, and how closely. checked: the answer to 'check'. */
export function verdict(checked, forms) {
  const cells = forms.map((form) => {
    const { loss, lossError, gradientError } = checked[form]
    return `${form} ${loss?.toFixed(5) ?? 'NaN'} (${[lossError, gradientError].map(apart).join(', ')})`
  })
  const ok = forms.every((form) => checked[form].ok)
  const leftOut = (100 * checked.leftOut).toFixed(2)
  return {
    ok,
    text:
      `loss (relative difference of loss, gradient from float64): ` +
      `${cells.join(', ')}; ${leftOut} % of the channels nearly tie and are left out`,
  }
}

/** A relative difference; null: the form gives NaN. */
export const apart = (error) => error?.toExponential(1) ?? 'NaN'

/** Of a user's forms the faster one. A form that computes something else is no peer, unless all do: the
 * check then voids the row. times: milliseconds by form. */
export function fasterOf(forms, times, checked) {
  const right = forms.filter((form) => checked[form].ok)
  return (right.length > 0 ? right : forms).reduce((best, form) =>
    median(times[form]) < median(times[best]) ? form : best,
  )
}

export function mb(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
