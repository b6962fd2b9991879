// `loss` of the configuration: what a user can write, and what each loss makes of it.

import { z } from 'zod'
import type { Classifier } from '../../binding.js'
import * as all from './all.js'
import type { Loss } from './loss.js'

type AnyLoss = (typeof all)[keyof typeof all]
type Schema = AnyLoss['options']
type LossOptions = z.output<Schema>

/** A loss with every default filled in. */
export type ResolvedLoss = ReturnType<AnyLoss['resolve']>

const losses = new Map<string, Loss<LossOptions, ResolvedLoss>>(
  Object.values(all).map((loss) => [loss.options.shape.name.value, loss]),
)
const names = [...losses.keys()].sort()

export const lossSchema = z.discriminatedUnion(
  'name',
  Object.values(all).map(({ options }) => options) as [Schema, ...Schema[]],
  {
    error: ({ code }) =>
      code === 'invalid_union' ? `expected one of ${names.join(', ')}` : undefined,
  },
)

function lossNamed(name: string): Loss<LossOptions, ResolvedLoss> {
  return losses.get(name) as Loss<LossOptions, ResolvedLoss> // the schema lets no other pass
}

export function resolveLoss(options: LossOptions): ResolvedLoss {
  return lossNamed(options.name).resolve(options)
}

/** With the defaults that follow from the number of classes. */
export function lossForClasses(loss: ResolvedLoss, numClasses: number): ResolvedLoss {
  return lossNamed(loss.name).forClasses?.(loss, numClasses) ?? loss
}

export function classifierOf(loss: ResolvedLoss): Classifier {
  return lossNamed(loss.name).classifier(loss)
}

/** What the loss takes at each step, as it takes the learning rate; undefined for most losses. */
export function scalarOf(
  loss: ResolvedLoss,
  totalSteps: number,
): ((step: number) => number) | undefined {
  const { scalar } = lossNamed(loss.name)
  return scalar && ((step) => scalar(loss, step, totalSteps))
}
