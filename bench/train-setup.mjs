// What the training benchmarks train: the networks, losses and the native configuration, once for
// every side.

export const mean = [0.5, 0.5, 0.5]
export const std = [0.5, 0.5, 0.5]
export const seed = 7
/** Small enough that random labels are not diverged from in a few dozen steps. */
export const optim = { lr: 0.001, momentum: 0.9, weightDecay: 5e-4 }

/** loss: 'ce' with torchvision's head, or 'mc' with the two-layer head; channelsPerClass 0: as is. */
export function modelOf({ model, loss, size, classes, channelsPerClass = 0 }) {
  return {
    backbone: model,
    head: loss === 'mc' ? 'two-layer' : 'torchvision',
    numClasses: classes,
    channelsPerClass,
    input: { height: size, width: size },
  }
}

export function lossOf(loss) {
  if (loss === 'ce') return { name: 'cross-entropy' }
  return {
    name: 'mc',
    form: 'official',
    alpha: 0.5,
    beta: 1,
    keep: 0.6,
    maskScope: 'batch',
  }
}

/** NativeTrainer.create's argument; `weightDecay` and the rest of `optim` may be replaced. */
export function nativeConfig(setting, overrides = {}) {
  const { loss, threads, device = 'cpu' } = setting
  const { momentum, weightDecay } = { ...optim, ...overrides }
  return {
    model: modelOf(setting),
    loss: lossOf(loss),
    optim: { momentum, nesterov: false, weightDecay, headLrScale: 1 },
    initSeed: seed,
    device,
    precision: device === 'cuda' ? 'bf16' : 'fp32',
    channelsLast: true,
    threads,
    settings: { cudnnBenchmark: true, tf32: true, deterministic: false, cudaGraph: 'auto' },
    mean,
    std,
    rank: 0,
    worldSize: 1,
  }
}

/** Runs `count` steps from `first` with two in flight, then reads the sums; -> wall time and means. */
export async function runSteps(trainer, batches, first, count) {
  const began = performance.now()
  let previous = Promise.resolve()
  for (let step = first; step < first + count; step++) {
    const current = trainer.step(batches.at(step), { step, seed, lr: optim.lr })
    await previous
    previous = current
  }
  await previous
  const { loss, n, correct } = await trainer.stats()
  return { ms: performance.now() - began, loss: loss / n, top1: correct / n }
}

/** A side that counts its own steps, so that every side sees the same batches. run(first, count). */
export function turns(run) {
  let next = 0
  return async (count) => {
    const result = await run(next, count)
    next += count
    return result
  }
}
