// The rows of bench/demo-seeds (bench/rows.mjs), made from finished runs.

import { mean, pairedInterval, rounded } from './statistics.mjs'

const lossNames = { ce: 'cross entropy', mc: 'MC-Loss' }
const percent = (share) => rounded(100 * share)

/** results: finished runs of all seeds, losses and sides. -> the rows of both claims. */
export function accuracyRows(results, { seeds, threads }) {
  const { config, n } = results[0]
  const { classes, trainPerClass } = config.data
  const { torch } = results.find(({ side }) => side === 'pytorch')
  const names = { ours: 'mcloss', pytorch: `PyTorch ${torch}` }
  const runs = (side, loss) =>
    seeds.map((seed) =>
      results.find((r) => r.side === side && r.loss === loss && r.config.seed === seed),
    )
  const apart = ['ce', 'mc'].map((loss) => `${firstEpoch(runs, loss)} with ${lossNames[loss]}`)
  const row = (claim, what, ours, peer) => {
    const [mine, theirs] = [ours, peer].map(([name, ...of]) => sideOf(name, runs(...of)))
    const { mean: value, ...interval } = pairedInterval(mine.values, theirs.values)
    return {
      claim,
      setting: `${what}, ${classes} kinds x ${trainPerClass} images, ${config.optim.epochs} epochs`,
      sample: `seeds ${seeds.join(' ')}, ${n} test images`,
      threads,
      peer: theirs,
      ours: mine,
      ratio: {
        value: rounded(value),
        low: rounded(interval.low),
        high: rounded(interval.high),
        unit: 'points',
      },
      also: [ours, peer].map(([name, ...of]) => ({
        name: `${name}, per run`,
        value: Math.round(mean(runs(...of).map((run) => run.seconds))),
        unit: 's',
      })),
      check: {
        ok: true,
        text:
          'mean training loss of the first epoch, largest relative difference between the sides: ' +
          apart.join(', '),
      },
    }
  }
  const bySide = ['ce', 'mc'].map((loss) =>
    row('accuracy', lossNames[loss], [names.ours, 'ours', loss], [names.pytorch, 'pytorch', loss]),
  )
  const byLoss = ['ours', 'pytorch'].map((side) =>
    row(
      'loss-gain',
      names[side].split(' ')[0],
      [lossNames.mc, side, 'mc'],
      [lossNames.ce, side, 'ce'],
    ),
  )
  return [...bySide, ...byLoss]
}

/** A side of a row; values: top-1 % by seed. */
function sideOf(name, runs) {
  const values = runs.map(({ top1 }) => percent(top1))
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return { name, value: rounded(mean(values)), low, high, unit: '%', values }
}

function firstEpoch(runs, loss) {
  const [ours, peers] = ['ours', 'pytorch'].map((side) => runs(side, loss))
  const apart = peers.map((run, i) => Math.abs(ours[i].trainLoss[0] / run.trainLoss[0] - 1))
  return Math.max(...apart).toExponential(1)
}
