// @ts-check
// A predictor in a thread of its own: reading files and making answers leave the main thread free.
//
//   node main.mjs runs/birds photo.jpg other.jpg

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const [weights, ...images] = process.argv.slice(2)
const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { weights } })
/** @type {Map<number, { resolve(answers: any): void, reject(reason: unknown): void }>} */
const waiting = new Map()
let calls = 0

worker.on('message', ({ id, answers, error }) => {
  const call = waiting.get(id)
  waiting.delete(id)
  if (error) call?.reject(error)
  else call?.resolve(answers)
})
worker.on('error', (error) => {
  for (const { reject } of waiting.values()) reject(error)
})

/** @param {string[]} paths */
function predict(paths) {
  const id = calls++
  worker.postMessage({ id, images: paths })
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
}

const answers = await Promise.all(images.map((path) => predict([path])))
for (const [at, [{ top, error }]] of answers.entries()) {
  console.log(
    images[at],
    error ? error.message : `${top[0].class} ${top[0].probability.toFixed(3)}`,
  )
}
worker.postMessage('end')
await once(worker, 'exit')
