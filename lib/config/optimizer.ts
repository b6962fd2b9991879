// How parameters follow their gradients: what `optim` says of it, and what native gets.

import { z } from 'zod'
import type { NativeTrainerConfig } from '../binding.js'
import type { Problem } from './errors.js'

const share = z.number().nonnegative().lt(1)
const positive = z.number().positive()

const sgd = {
  momentum: share.optional().describe('sgd: default 0.9'),
  nesterov: z.boolean().optional().describe('sgd: Nesterov momentum; default false'),
}
const adamw = {
  betas: z
    .tuple([share, share])
    .optional()
    .describe('adamw: of the means of gradients and their squares; default 0.9, 0.999'),
  eps: positive.optional().describe('adamw: added to the root of the second; default 1e-8'),
}

const ema = z.strictObject({
  decay: positive
    .lt(1)
    .default(0.999)
    .describe('what a step leaves of the average; default as torch.optim.swa_utils'),
  warmupSteps: z
    .int()
    .min(0)
    .default(0)
    .describe('steps after the first before the average begins, as a copy of the weights then'),
})

/** Keys of `optim`. */
export const optimizerKeys = {
  name: z.enum(['sgd', 'adamw']).default('sgd').describe('the optimizer'),
  ...sgd,
  ...adamw,
  weightDecay: z.number().nonnegative().default(5e-4).describe('of all parameters'),
  decayNormAndBias: z
    .boolean()
    .default(true)
    .describe('false: no weight decay of parameters with one dimension (norms, biases)'),
  clipGradNorm: positive
    .optional()
    .describe('the most that the norm of the whole gradient may be; larger ones are scaled down'),
  ema: ema.optional().describe('a moving average of the weights, evaluated beside them'),
}

/** `optim`, as far as it is known here. */
export type OptimizerConfig = z.output<z.ZodObject<typeof optimizerKeys>>

export function optimizerProblems(optim: OptimizerConfig): Problem[] {
  const problems: Problem[] = []
  const bad = (key: string, message: string) => problems.push({ path: ['optim', key], message })
  for (const [name, keys] of Object.entries({ sgd, adamw })) {
    for (const key of optim.name === name ? [] : Object.keys(keys)) {
      if (optim[key as keyof OptimizerConfig] !== undefined) bad(key, `belongs to ${name} only`)
    }
  }
  if (optim.nesterov && optim.momentum === 0) bad('nesterov', 'needs a momentum above 0')
  return problems
}

/** With the defaults of its own optimizer. */
export function completeOptimizer<Optim extends OptimizerConfig>(optim: Optim): Optim {
  const { momentum = 0.9, nesterov = false, betas = [0.9, 0.999], eps = 1e-8 } = optim
  return { ...optim, ...(optim.name === 'sgd' ? { momentum, nesterov } : { betas, eps }) }
}

export function nativeOptim(
  optim: OptimizerConfig & { lr: number; headLr: number },
): NativeTrainerConfig['optim'] {
  const { name, momentum, nesterov, betas, eps, weightDecay, decayNormAndBias } = optim
  const { clipGradNorm, ema, lr, headLr } = optim
  return {
    ...(name === 'sgd' ? { name, momentum, nesterov } : { name, betas, eps }),
    ...{ weightDecay, decayNormAndBias, headLrScale: headLr / lr },
    ...{ clipGradNorm, ema },
  }
}
