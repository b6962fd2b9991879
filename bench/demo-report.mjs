// The tables of bench/demo-seeds as Markdown.

import { demoConfig } from '../dist/demo.js'
import { machine } from './results.mjs'
import { deviation, mean, pairedInterval } from './statistics.mjs'

const lossNames = { ce: 'cross entropy', mc: 'MC-Loss' }
const sideNames = { ours: 'mcloss', pytorch: 'PyTorch' }
const percent = (share) => (100 * share).toFixed(1)

/** results: {loss, trial, top1: per seed, score, winner}, best first. */
export function tuningTable(results) {
  return [
    '| loss | lr | alpha, beta | validation top-1 %, seed 100 / 101 / 102 | mean | |',
    '| ---- | -- | ----------- | ---------------------------------------- | ---- | - |',
    ...results.map(
      ({ loss, trial: { lr, alpha, beta }, top1, score, winner }) =>
        `| ${lossNames[loss]} | ${lr} | ${loss === 'mc' ? `${alpha}, ${beta}` : ''} | ` +
        `${top1.map(percent).join(' / ')} | ${percent(score)} | ${winner ? 'best' : ''} |`,
    ),
  ].join('\n')
}

/** results: finished runs of all seeds, losses and sides. -> the text under the heading. */
export function reportSection(results, tuning, { seeds, threads, epochs }) {
  const runs = (side, loss) =>
    seeds.map((seed) =>
      results.find((r) => r.side === side && r.loss === loss && r.config.seed === seed),
    )
  const top1 = (side, loss) => runs(side, loss).map((run) => 100 * run.top1)
  const pairs = [
    ['MC-Loss - cross entropy, mcloss', top1('ours', 'mc'), top1('ours', 'ce')],
    ['MC-Loss - cross entropy, PyTorch', top1('pytorch', 'mc'), top1('pytorch', 'ce')],
    ['mcloss - PyTorch, cross entropy', top1('ours', 'ce'), top1('pytorch', 'ce')],
    ['mcloss - PyTorch, MC-Loss', top1('ours', 'mc'), top1('pytorch', 'mc')],
  ].map(([name, a, b]) => ({ name, ...pairedInterval(a, b) }))
  const { config, n } = results[0]
  const date = new Date().toISOString().slice(0, 10)
  const { torch } = runs('pytorch', 'ce')[0]
  return [
    `${date}; ${machine()}; PyTorch ${torch}; ${threads} thread a run. ` +
      `${n} test images, seeds ${seeds.join(' ')}, ` +
      `${epochs > 0 ? `${epochs} epochs (NOT the recipe's number)` : `${config.optim.epochs} epochs`}` +
      '; top-1 % after the last epoch. Each PyTorch run starts from the initial weights of the run ' +
      'of ours with its seed and sees the same pixels, order, windows, masks and learning rates.',
    '',
    '| loss | side | mean | standard deviation | by seed | seconds a run |',
    '| ---- | ---- | ---- | ------------------ | ------- | ------------- |',
    ...['ce', 'mc'].flatMap((loss) =>
      ['ours', 'pytorch'].map((side) => {
        const values = top1(side, loss)
        const seconds = mean(runs(side, loss).map((run) => run.seconds)).toFixed(0)
        return (
          `| ${lossNames[loss]} | ${sideNames[side]} | ${mean(values).toFixed(2)} | ` +
          `${deviation(values).toFixed(2)} | ${values.map((v) => v.toFixed(1)).join(' ')} | ` +
          `${seconds} |`
        )
      }),
    ),
    '',
    '| paired difference, points | mean | 95 % interval (t) | |',
    '| ------------------------- | ---- | ----------------- | - |',
    ...pairs.map(
      ({ name, mean: middle, low, high }) =>
        `| ${name} | ${signed(middle)} | ${signed(low)} .. ${signed(high)} | ` +
        `${low <= 0 && high >= 0 ? 'includes 0' : 'excludes 0'} |`,
    ),
    '',
    `Mean training loss of the first epoch, largest relative difference between the sides: ` +
      `${firstEpoch(runs, 'ce')} with cross entropy, ${firstEpoch(runs, 'mc')} with MC-Loss.`,
    '',
    ...tuningPart(tuning),
    ...(seeds.length < 10 && pairs.slice(2).some(({ low, high }) => low > 0 || high < 0)
      ? ['', 'An interval mcloss - PyTorch excludes 0: five more seeds are due (`--seeds 0-9`).']
      : []),
  ].join('\n')
}

function firstEpoch(runs, loss) {
  const [ours, peers] = ['ours', 'pytorch'].map((side) => runs(side, loss))
  const apart = peers.map((run, i) => Math.abs(ours[i].trainLoss[0] / run.trainLoss[0] - 1))
  return Math.max(...apart).toExponential(1)
}

function tuningPart(tuning) {
  if (tuning.length === 0) return ['No tuning run of this recipe is kept.']
  const winners = tuning.filter(({ winner }) => winner)
  const committed = winners.every(({ loss, trial: { lr, ...weights } }) => {
    const { optim, loss: chosen } = demoConfig(loss, { root: '-', out: '-', seed: 0 })
    return optim.lr === lr && Object.entries(weights).every(([key, value]) => chosen[key] === value)
  })
  return [
    'Tuning, on other drawn images with a validation split (six trials a loss; the best two again):',
    '',
    tuningTable(tuning),
    '',
    committed
      ? "The demo's committed configuration is the best of each."
      : "The demo's committed configuration is NOT the best of each.",
  ]
}

const signed = (value) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(2)}`
