// Claim: the MC-Loss operator, forward and backward, is a small share of a training step. The
// operator runs in Python with libmcloss_ops.so on the shape and layout of the map the network makes,
// the steps run here with cross entropy alone; the two take turns. Then the demo's own step with cross
// entropy, with MC-Loss composed of LibTorch's operators (`reference`) and with the fused operator.
//
//   npm run bench -- mc-share [--python PATH] [--only resnet50] [--dry]

import { availableParallelism } from 'node:os'
import { native } from '../dist/binding.js'
import { nativeConfig } from '../dist/config/index.js'
import { demoConfig } from '../dist/demo.js'
import { makeBatches, scratchDir } from './batches.mjs'
import { nameOf, startSide, weights } from './mc-loss-side.mjs'
import { verdict } from './mc-loss-verdict.mjs'
import { readOptions } from './options.mjs'
import { record } from './record.mjs'
import { figure, interleave, mean, median, rangeOf, rounded, spread } from './statistics.mjs'
import { nativeConfig as benchConfig, runSteps } from './train-setup.mjs'

const options = readOptions({
  only: '', // resnet50, resnet18 or demo
  rounds: 5, // of the two networks
  demoRounds: 21,
  runs: 10, // of the operator, a round
  threads: availableParallelism(),
  python: 'python3',
  dry: false, // print only
})
const { only, rounds, demoRounds, runs, threads, python, dry } = options
const dir = scratchDir()
const { side } = await startSide({ script: 'mc_loss_bench.py', python, threads })

for (const network of [
  { model: 'resnet50', channelsPerClass: 0, steps: 2 },
  { model: 'resnet18', channelsPerClass: 3, steps: 3 }, // widened to 600
]) {
  if (network.model.includes(only)) await shareOfStep(network)
}
if ('demo'.includes(only)) await demoStep()
side.close()

async function shareOfStep({ model, channelsPerClass, steps }) {
  const [size, batch, classes] = [224, 16, 200]
  const config = benchConfig({ model, loss: 'ce', size, classes, threads })
  config.model.channelsPerClass = channelsPerClass
  const { map, check } = await prepare(config.model, batch, weights)
  const trainer = await native().NativeTrainer.create(config)
  const step = stepsOf(trainer, makeBatches({ dir, size, batch, classes }))
  await step(2)
  const time = async () => (await side.ask('time', { forms: ['ours'], runs, warmup: 1 })).ours
  const { a, b } = await interleave(rounds, time, () => step(steps))
  await trainer.dispose()

  const operator = a.flat()
  const whole = b.map(({ ms }) => ms / steps)
  const percents = a.map((times, round) => (100 * median(times)) / whole[round])
  console.log(`\n${model}, map ${map}`)
  console.log(`step     ${spread(whole, 0)} ms, loss ${mean(b.map(({ loss }) => loss)).toFixed(4)}`)
  console.log(`operator ${spread(operator)} ms`)
  finish({
    claim: 'step-share',
    setting: `${model} ce ${size} px b${batch}, map ${map}`,
    sample: `${rounds} rounds of ${steps} steps, ${runs} runs`,
    peer: figure('step, cross entropy', 'ms', whole),
    ours: figure('operator', 'ms', operator),
    ratio: {
      value: rounded((100 * median(operator)) / median(whole)),
      ...rangeOf(percents),
      unit: '%',
    },
    check,
  })
}

async function demoStep() {
  const steps = 4
  const { data, optim } = demoConfig('mc', { root: dir, out: dir, seed: 0 })
  const { classes } = data
  const configOf = (loss, impl) => {
    const config = nativeConfig(
      demoConfig(loss, { root: dir, out: dir, seed: 0, threads }),
      classes,
    )
    return impl ? { ...config, loss: { ...config.loss, impl } } : config
  }
  const configs = {
    ce: configOf('ce'),
    reference: configOf('mc', 'reference'),
    fused: configOf('mc', 'fused'),
  }
  const { model, loss } = configs.fused
  const size = model.input.height
  const batch = optim.batchSize
  const { map, check } = await prepare(model, batch, { alpha: loss.alpha, beta: loss.beta })
  const batches = makeBatches({ dir, size, batch, classes })
  const sides = {}
  for (const [name, config] of Object.entries(configs)) {
    sides[name] = { step: stepsOf(await native().NativeTrainer.create(config), batches), ms: [] }
    sides[name].first = (await sides[name].step(1)).loss
    await sides[name].step(4)
  }
  const operator = { ours: [], reference: [] }
  for (let round = 0; round < demoRounds; round++) {
    const turns = Object.values(sides)
    for (const one of round % 2 ? turns.reverse() : turns) {
      one.ms.push((await one.step(steps)).ms / steps)
    }
    const times = await side.ask('time', { forms: Object.keys(operator), runs, warmup: 1 })
    for (const form of Object.keys(operator)) operator[form].push(...times[form])
  }
  for (const { step } of Object.values(sides)) await step.dispose()

  const { ce, reference, fused } = sides
  /** What the loss adds to a step: by round, since the steps of a round ran side by side. */
  const added = (one) => one.ms.map((ms, round) => ms - ce.ms[round])
  const percentAdded = (one) => rounded((100 * median(added(one))) / median(ce.ms))
  const apart = Math.abs(fused.first / reference.first - 1)
  const equal = apart <= 1e-5
  console.log(`\nthe demo's step, ${model.backbone} ${size} px b${batch}, map ${map}`)
  console.log(`cross entropy      ${spread(ce.ms, 1)} ms`)
  for (const [name, one, form] of [
    ['MC-Loss, reference', reference, 'reference'],
    ['MC-Loss, fused    ', fused, 'ours'],
  ]) {
    console.log(
      `${name} ${spread(one.ms, 1)} ms, adds ${spread(added(one))} ms (${percentAdded(one)} %); operator ${spread(operator[form])} ms; ` +
        `first loss ${one.first.toFixed(6)}`,
    )
  }
  finish({
    claim: 'demo-step',
    setting: `the demo's step, ${model.backbone} ${size} px b${batch}, map ${map}`,
    sample: `${demoRounds} rounds of ${steps} steps`,
    peer: figure('cross entropy', 'ms', ce.ms),
    ours: figure('MC-Loss, fused', 'ms', fused.ms),
    ratio: { value: percentAdded(fused), unit: '%' },
    also: [
      figure('MC-Loss, fused, adds', 'ms', added(fused)),
      figure('MC-Loss, reference', 'ms', reference.ms),
      figure('MC-Loss, reference, adds', 'ms', added(reference)),
      figure('MC-Loss, reference, adds', '%', percentAdded(reference)),
      figure('operator, fused', 'ms', operator.ours),
      figure('operator, reference', 'ms', operator.reference),
    ],
    check: {
      ok: check.ok && equal,
      text: `${check.text}; first losses within ${apart.toExponential(1)}`,
    },
  })
}

/** Makes the operator's inputs in the map that `model` makes; -> the map's name, the check. */
async function prepare(model, batch, { alpha, beta }) {
  const { channels, height, width } = native().mapShape(model)
  const what = {
    shape: [batch, channels, height, width],
    layout: 'channels_last',
    dtype: 'float32',
  }
  await side.ask('case', { ...what, classes: model.numClasses, alpha, beta })
  const forms = ['ours', 'reference']
  return { map: nameOf(what), check: verdict(await side.ask('check', { forms }), forms) }
}

/** A function that runs the next `count` steps. */
function stepsOf(trainer, batches) {
  let next = 0
  const run = async (count) => {
    const result = await runSteps(trainer, batches, next, count)
    next += count
    return result
  }
  run.dispose = () => trainer.dispose()
  return run
}

function finish(row) {
  if (!row.check.ok) process.exitCode = 1
  record({ threads, ...row }, dry)
}
