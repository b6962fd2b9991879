// @ts-check
// What a kernel takes of a GPU, from what ptxas prints with -v.

/** Bytes of shared memory that a block has without asking for more. */
const mostShared = 48 * 1024

/** @typedef {{kernel: string, registers: number, spilled: number, shared: number}} Resources */

/**
 * @param {string} output of nvcc -Xptxas -v
 * @returns {Resources[]} spilled and shared in bytes; shared without what a launch asks for
 */
export function kernelResources(output) {
  const entries = output.split(/^ptxas info\s*: Compiling entry function /m).slice(1)
  return entries.map((entry) => ({
    kernel: /^'([^']+)'/.exec(entry)?.[1] ?? '',
    registers: number(entry, /Used (\d+) registers/),
    spilled: number(entry, /(\d+) bytes spill stores/) + number(entry, /(\d+) bytes spill loads/),
    shared: Number(/(\d+) bytes smem/.exec(entry)?.[1] ?? 0),
  }))
}

/** @param {string} entry @param {RegExp} form */
function number(entry, form) {
  const found = form.exec(entry)?.[1]
  if (found === undefined) throw new Error(`ptxas does not say ${form} of ${entry.slice(0, 200)}`)
  return Number(found)
}

/** @param {Resources} resources @returns {boolean} */
export function takesTooMuch({ spilled, shared }) {
  return spilled > 0 || shared > mostShared
}

/** @param {Resources} resources */
export function resourcesLine({ kernel, registers, spilled, shared }) {
  return `${registers} registers, ${spilled} bytes spilled, ${shared} bytes shared: ${kernel}`
}
