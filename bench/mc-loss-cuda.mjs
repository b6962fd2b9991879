// bench/mc-loss.mjs on a GPU. The ratios are of wall time; device time stands beside the time
// that three passes over the map take at the bandwidth measured in the run: read forward, read backward,
// write the gradient.

import { mb } from './mc-loss-side.mjs'
import { apart, fasterOf, verdict } from './mc-loss-verdict.mjs'
import { figure, median, ratioOf, rounded, spread } from './statistics.mjs'

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

/** -> the check and the rows of the case that `side` holds. library: the peer's; bytes: of the map. */
export async function measureOnGpu(side, library, bytes) {
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
        (form in device ? `, device ${us(device[form])}, memory ${mb(memory[form])}` : '') +
        `, gradient within ${apart(checked[form].gradientError)}`,
    )
  }
  const [a, b] = [eager, compiled].map((forms) => fasterOf(forms, wall, checked))
  console.log(`floor ${(1000 * floor).toFixed(1)} us at ${(bytesPerSecond / 1e12).toFixed(2)} TB/s`)
  const sample = `${rounds} rounds of ${iterations}`
  const onDevice = (name, of) =>
    device[of].error ? [] : [figure(`${name}, device time`, 'ms', device[of])]
  const against = (claim, form) => ({
    claim,
    sample,
    peer: figure(`${library}, ${form}`, 'ms', wall[form]),
    ours: figure('mcloss', 'ms', wall.ours),
    ratio: ratioOf(wall[form], wall.ours),
    also: [
      ...onDevice('mcloss', 'ours'),
      ...onDevice(`${library}, ${form}`, form),
      figure('reference', 'ms', wall.reference),
    ],
    ...(device.ours.error && { text: `device time of ours: ${device.ours.error}` }),
  })
  const space = {
    claim: 'operator-memory',
    sample: '1 process',
    peer: figure(`${library}, ${a}`, 'MB', memory[a] / 1e6),
    ours: figure('mcloss', 'MB', memory.ours / 1e6),
    ratio: { value: rounded(memory.ours / memory[a]) },
  }
  const overFloor = () => ({
    claim: 'operator-gpu-floor',
    sample: `${replays} replays`,
    peer: figure('three passes over the map', 'ms', floor),
    ours: figure('mcloss, device time', 'ms', device.ours),
    ratio: { value: rounded(median(device.ours) / floor) },
  })
  return {
    check: verdict(checked, ['ours', 'reference', a, b]),
    figures: [
      against('operator-gpu-eager', a),
      against('operator-gpu-compiled', b),
      space,
      ...(device.ours.error ? [] : [overFloor()]),
    ],
  }
}
