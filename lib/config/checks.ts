// What one key alone cannot tell: keys that belong together, exclude each other, or must fit.

import { type ReaderShape, readerOptions } from '../data/datasets/index.js'
import type { Problem } from './errors.js'
import { classifierOf, resolveLoss } from './losses/index.js'
import { optimizerProblems } from './optimizer.js'
import type { ParsedConfig } from './schema.js'

/** Black pixels a training crop may take in: a few where the whole image is the crop. */
export function paddingOf({ crop, padding }: ParsedConfig['data']): number {
  return padding ?? (crop === undefined ? 4 : 0)
}

/** The parts of a configuration whose single values are right; problems of the others are known. */
export type RightParts = {
  [part in 'data' | 'model' | 'loss' | 'optim' | 'best']: ParsedConfig[part] | undefined
}

/** Every problem across the keys of these parts. */
export function crossProblems({ data, model, loss, optim, best }: RightParts): Problem[] {
  return [
    ...(data ? [...dataProblems(data), ...cropProblems(data)] : []),
    ...(model ? modelProblems(model) : []),
    ...(model && loss ? classifierProblems(model, loss) : []),
    ...(optim ? [...optimizerProblems(optim), ...optimProblems(optim)] : []),
    ...(optim && best ? bestProblems(best, optim) : []),
  ]
}

function dataProblems(data: ParsedConfig['data']): Problem[] {
  const problems: Problem[] = []
  const bad = (key: keyof typeof data, message: string) =>
    problems.push({ path: ['data', key], message })
  if (data.dataset) {
    if (data.name && data.name !== 'own') bad('name', 'give name and root, or dataset, not both')
    if (data.root) bad('root', 'give name and root, or dataset, not both')
  } else if (data.name === undefined) {
    bad('name', 'missing: give name and root, or a dataset object')
  } else if (data.name !== 'own' && data.root === undefined) {
    bad('root', 'missing: the folder of the data')
  }
  for (const [name, options] of readerOptions) {
    for (const key of data.name === name ? [] : (Object.keys(options) as (keyof ReaderShape)[])) {
      if (data[key] !== undefined) bad(key, `belongs to ${name} only`)
    }
  }
  return problems
}

function cropProblems(data: ParsedConfig['data']): Problem[] {
  const { resize, crop = resize } = data
  const padding = paddingOf(data)
  if (crop[0] <= resize[0] + 2 * padding && crop[1] <= resize[1] + 2 * padding) return []
  const message =
    `expected to fit into resize ${resize[0]}x${resize[1]} with padding ${padding}; choose a ` +
    'smaller crop, a larger resize or more padding'
  return [{ path: ['data', 'crop'], message }]
}

function modelProblems(model: ParsedConfig['model']): Problem[] {
  const problems: Problem[] = []
  const bad = (key: keyof typeof model, message: string) =>
    problems.push({ path: ['model', key], message })
  if (model.backbone === 'vgg-small' && model.channelsPerClass === undefined) {
    bad('channelsPerClass', 'missing: vgg-small needs it, e.g. 3')
  }
  for (const key of model.head === 'bilinear' ? [] : (['reduction', 'pooling'] as const)) {
    if (model[key] !== undefined) bad(key, 'belongs to head bilinear only')
  }
  for (const key of ['weightsKey', 'weightsPart', 'allowPartial'] as const) {
    if (model[key] !== undefined && model.weights === undefined) bad(key, 'needs model.weights')
  }
  return problems
}

/** Weights are trained for one kind of classifier, so a loss never changes it silently. */
function classifierProblems(
  { classifier }: ParsedConfig['model'],
  loss: ParsedConfig['loss'],
): Problem[] {
  const needed = classifierOf(resolveLoss(loss))
  const fits =
    classifier === undefined ||
    (classifier.kind === needed.kind && (classifier.scale ?? needed.scale) === needed.scale)
  if (fits) return []
  const message =
    `expected what loss ${loss.name} needs, ${JSON.stringify(needed)}; leave model.classifier out ` +
    'or choose another loss'
  return [{ path: ['model', 'classifier'], message }]
}

function optimProblems(optim: ParsedConfig['optim']): Problem[] {
  const problems: Problem[] = []
  const bad = (key: keyof typeof optim, message: string) =>
    problems.push({ path: ['optim', key], message })
  const isMultiStep = optim.schedule === 'multi-step'
  if (isMultiStep && !optim.milestones?.length) bad('milestones', 'missing: multi-step needs them')
  if (!isMultiStep && optim.milestones) bad('milestones', 'belongs to schedule multi-step only')
  if (optim.milestones?.some((epoch, i, all) => i > 0 && epoch <= (all[i - 1] ?? 0))) {
    bad('milestones', 'expected rising epochs')
  }
  if (optim.warmupEpochs > optim.epochs) bad('warmupEpochs', `expected at most ${optim.epochs}`)
  if (optim.warmupEpochs > 0 && (optim.schedule === 'own' || optim.schedule instanceof Function)) {
    bad('warmupEpochs', 'a schedule of your own does its own warm-up')
  }
  if (optim.batchSize % optim.gradAccumSteps !== 0) {
    bad('gradAccumSteps', `expected a divisor of batchSize ${optim.batchSize}`)
  }
  return problems
}

function bestProblems(best: ParsedConfig['best'], { ema }: ParsedConfig['optim']): Problem[] {
  if (best.of === 'raw' || ema) return []
  return [{ path: ['best', 'of'], message: 'ema needs optim.ema' }]
}
