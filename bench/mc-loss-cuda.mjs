// bench/mc-loss.mjs on a GPU (goal 2). The ratios are of wall time; device time stands beside the time
// that three passes over the map take at the bandwidth measured in the run: read forward, read backward,
// write the gradient.

import { mb, verdict } from './mc-loss-side.mjs'
import { median, spread } from './statistics.mjs'

const shapes = [
  [32, 2048, 14, 14],
  [32, 600, 14, 14],
]
export const cudaRows = shapes.flatMap((shape) =>
  ['contiguous', 'channels_last'].flatMap((layout) =>
    ['float32', 'bfloat16'].map((dtype) => ({ shape, layout, dtype })),
  ),
)

const eager = ['slices', 'pool']
const compiled = ['compiled slices', 'compiled pool']
const forms = ['ours', 'reference', ...eager, ...compiled]
const [rounds, iterations, replays] = [9, 200, 30]

/** The cells of a row of the case that `side` holds; bytes: of its map. */
export async function measureOnGpu(side, bytes) {
  const checked = await side.ask('check', { forms: [...forms, 'gathers'] })
  const wall = await side.ask('wall', { forms, rounds, iterations })
  Object.assign(wall, await side.ask('wall', { forms: ['gathers'], rounds: 3, iterations: 3 }))
  const memory = await side.ask('peak', { forms })
  const device = await side.ask('device', { forms, replays })
  const { bytesPerSecond } = await side.ask('bandwidth')
  const floor = (1000 * 3 * bytes) / bytesPerSecond
  const us = (times) =>
    times.error
      ? times.error
      : `${spread(
          times.map((ms) => 1000 * ms),
          1,
        )} us`
  for (const form of [...forms, 'gathers']) {
    console.log(
      `${form.padEnd(16)} wall ${us(wall[form])}` +
        (form in device ? `, device ${us(device[form])}, memory ${mb(memory[form])}` : ''),
    )
  }
  const faster = (names) =>
    names.reduce((best, name) => (median(wall[name]) < median(wall[best]) ? name : best))
  const [a, b] = [faster(eager), faster(compiled)]
  const ratio = (name) => (median(wall[name]) / median(wall.ours)).toFixed(2)
  const onDevice = (name) =>
    device[name].error ? 'not captured' : (median(device[name]) / median(device.ours)).toFixed(2)
  const overFloor = device.ours.error ? 'not captured' : (median(device.ours) / floor).toFixed(2)
  const share = (memory.ours / memory[a]).toFixed(3)
  console.log(
    `${a}: ratio ${ratio(a)}, on the device ${onDevice(a)}; ${b}: ${ratio(b)}, ${onDevice(b)}; ours ` +
      `${overFloor} of the floor ${(1000 * floor).toFixed(1)} us at ` +
      `${(bytesPerSecond / 1e12).toFixed(2)} TB/s; memory ${share}`,
  )
  const both = (name) => `wall ${us(wall[name])}, device ${us(device[name])}`
  return {
    setting: `${rounds} rounds of ${iterations}, ${replays} replays`,
    peer: `${a}: ${both(a)}, ${mb(memory[a])}; ${b}: ${both(b)}`,
    ours: `${both('ours')}, ${mb(memory.ours)}; reference: ${both('reference')}`,
    ratio:
      `eager ${ratio(a)} (device ${onDevice(a)}), compiled ${ratio(b)} (device ${onDevice(b)}), ` +
      `device time / floor ${overFloor}, memory ${share}`,
    goal: 'eager >= 5, compiled >= 1.5; aim floor <= 2; memory <= 0.1',
    check: verdict(checked, ['ours', 'reference', a, b]),
  }
}
