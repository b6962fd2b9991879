// Claim (goal 3): the MC-Loss operator, forward and backward, is a small share of a training step. The
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
import { nameOf, startSide, verdict, weights } from './mc-loss-side.mjs'
import { readOptions } from './options.mjs'
import { record } from './results.mjs'
import { interleave, mean, median, spread } from './statistics.mjs'
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
  { model: 'resnet50', channelsPerClass: 0, steps: 2, goal: '<= 1 %' },
  { model: 'resnet18', channelsPerClass: 3, steps: 3, goal: '<= 5 %' }, // widened to 600
]) {
  if (network.model.includes(only)) await shareOfStep(network)
}
if ('demo'.includes(only)) await demoStep()
side.close()

async function shareOfStep({ model, channelsPerClass, steps, goal }) {
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
  const share = (100 * median(operator)) / median(whole)
  const byRound = spread(
    a.map((times, round) => (100 * median(times)) / whole[round]),
    3,
  )
  console.log(`\n${model}, map ${map}`)
  console.log(`step     ${spread(whole, 0)} ms, loss ${mean(b.map(({ loss }) => loss)).toFixed(4)}`)
  console.log(`operator ${spread(operator)} ms`)
  console.log(`share    ${share.toFixed(3)} % (by round ${byRound})`)
  finish({
    setting: `${model} ce ${size} px b${batch}, map ${map}, ${rounds} rounds of ${steps} steps, ${runs} runs`,
    peer: `step ${spread(whole, 0)} ms`,
    ours: `operator ${spread(operator)} ms`,
    ratio: `${share.toFixed(3)} %, by round ${byRound}`,
    goal,
    check,
  })
}

async function demoStep() {
  const [steps, classes] = [4, 20]
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
  const batch = demoConfig('mc', { root: dir, out: dir, seed: 0 }).optim.batchSize
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
  const adds = (one) => {
    const more = one.ms.map((ms, round) => ms - ce.ms[round])
    return `${spread(more)} ms (${((100 * median(more)) / median(ce.ms)).toFixed(1)} %)`
  }
  const apart = Math.abs(fused.first / reference.first - 1)
  const equal = apart <= 1e-5
  console.log(`\nthe demo's step, ${model.backbone} ${size} px b${batch}, map ${map}`)
  console.log(`cross entropy      ${spread(ce.ms, 1)} ms`)
  for (const [name, one, form] of [
    ['MC-Loss, reference', reference, 'reference'],
    ['MC-Loss, fused    ', fused, 'ours'],
  ]) {
    console.log(
      `${name} ${spread(one.ms, 1)} ms, adds ${adds(one)}; operator ${spread(operator[form])} ms; ` +
        `first loss ${one.first.toFixed(6)}`,
    )
  }
  const faster = median(operator.reference) / median(operator.ours)
  finish({
    setting:
      `the demo's step, ${model.backbone} ${size} px b${batch}, map ${map}, ` +
      `${demoRounds} rounds of ${steps} steps`,
    peer:
      `cross entropy ${spread(ce.ms, 1)} ms; MC-Loss, reference ${spread(reference.ms, 1)} ms, ` +
      `operator ${spread(operator.reference)} ms`,
    ours: `MC-Loss, fused ${spread(fused.ms, 1)} ms, operator ${spread(operator.ours)} ms`,
    ratio:
      `MC-Loss adds ${adds(fused)} to a step, the reference ${adds(reference)}; ` +
      `operator ${faster.toFixed(2)} times as fast`,
    goal: '-',
    check: {
      ok: check.ok && equal,
      text: `${check.text}; ${equal ? '' : 'VOID: '}first losses within ${apart.toExponential(1)}`,
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

function finish({ check, ...cells }) {
  if (!check.ok) process.exitCode = 1
  record({ bench: 'mc-share', threads, ...cells, check: check.text }, dry)
}
