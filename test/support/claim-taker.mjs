// A process that takes the claim of a run folder when a line comes in, says how that went, and
// releases it at the next line. Arguments: the compiled claim.js, the run folder.

import { createInterface } from 'node:readline/promises'

const [module = '', runDir = ''] = process.argv.slice(2)
const { Claim } = await import(module)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const claim = new Claim()
process.stdout.write('ready\n')
await lines.next()
try {
  await claim.take(runDir)
  process.stdout.write('taken\n')
} catch (error) {
  process.stdout.write(`${error.code} ${error.message}\n`)
}
await lines.next()
await claim.release()
process.exit()
