// A process that test/lib/data/bad-images.test.ts watches: decodes files one after the other. Run with
// --expose-gc; arguments: the compiled images.js, and one small image to begin with. Reads paths from
// standard input, one a line, and prints for each what came of it: {path, outcome, message?, growth},
// the last the bytes by which the peak of its resident memory lies above what it had before.

import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [module = '', first = ''] = process.argv.slice(2)
const { decode } = await import(module)
await decode(first) // loads what every decode needs

// Not resourceUsage().maxRSS, which begins at the peak of the process that started this one.
const memory = (line) => {
  const status = readFileSync('/proc/self/status', 'utf8')
  return 1024 * Number(new RegExp(`${line}:\\s+(\\d+) kB`).exec(status)?.[1])
}

for await (const path of createInterface({ input: process.stdin })) {
  globalThis.gc()
  writeFileSync('/proc/self/clear_refs', '5') // the peak begins anew
  const before = memory('VmRSS')
  const result = await decode(path).then(
    ({ width, height }) => ({ outcome: { width, height } }),
    ({ code, message }) => ({ outcome: code, message }),
  )
  const growth = memory('VmHWM') - before
  process.stdout.write(`${JSON.stringify({ path, ...result, growth })}\n`)
}
