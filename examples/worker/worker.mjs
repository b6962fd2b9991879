// @ts-check
// The thread of main.mjs: a predictor that answers messages { id, images }.

import { parentPort, workerData } from 'node:worker_threads'
import { createPredictor, McLossError } from 'mcloss'

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
const predictor = await createPredictor({ weights: workerData.weights })

port.on('message', async (message) => {
  if (message === 'end') {
    await predictor.dispose()
    port.close()
    return
  }
  const { id, images } = message
  try {
    const answers = await predictor.predict(images, { top: 1 })
    // An error keeps its message on the way to another thread, but not its code.
    port.postMessage({
      id,
      answers: answers.map(({ top, error }) => ({ top, error: plain(error) })),
    })
  } catch (error) {
    port.postMessage({ id, error: plain(error) })
  }
})

/** @param {unknown} error */
function plain(error) {
  return error instanceof McLossError ? { code: error.code, message: error.message } : error
}
