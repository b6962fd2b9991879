// Cross entropy with the Mutual-Channel Loss. Its weights come in one of three ways: a preset, alpha
// and beta (the authors' form), or mu and lambda (the paper's).

import { z } from 'zod'
import { defineLoss, labelSmoothing, notNegative, positive, smoothingOf } from './loss.js'

const presets = {
  scratch: { alpha: 1.5, beta: 20, keep: 'ceil-half' },
  finetune: { alpha: 0.0005, beta: 0.01, keep: 0.6 },
} as const

const options = z.strictObject({
  name: z.literal('mc').describe('cross entropy with the MC-Loss'),
  preset: z
    .enum(['scratch', 'finetune'])
    .optional()
    .describe("the authors' settings: alpha 1.5, beta 20; or alpha 0.0005, beta 0.01, keep 0.6"),
  alpha: notNegative.optional().describe('official form: weight of L_dis'),
  beta: notNegative.optional().describe('official form: weight of mean(1 - h / xi)'),
  mu: notNegative.optional().describe("paper's form: mu * (L_dis - lambda * L_div)"),
  lambda: notNegative.optional().describe("paper's form: mu * (L_dis - lambda * L_div)"),
  keep: z
    .union([z.literal('ceil-half'), positive.max(1)], "expected 'ceil-half' or a ratio in (0, 1]")
    .optional()
    .describe("channels of a class the attention mask keeps: 'ceil-half' (default) or a ratio"),
  maskScope: z
    .enum(['batch', 'sample'])
    .default('batch')
    .describe('one attention mask per batch or per sample'),
  impl: z
    .enum(['fused', 'reference'])
    .default('fused')
    .describe("the fused operator, or its slow twin of LibTorch's own operators"),
  pool: z
    .enum(['max', 'mean'])
    .default('max')
    .describe("over the channels of a class: max, or mean (an ablation; needs impl: 'reference')"),
  labelSmoothing,
})

export const mc = defineLoss({
  options: options.superRefine(checkKeys),
  resolve(given) {
    const { name, maskScope, impl, pool, mu, lambda } = given
    const preset = given.preset && presets[given.preset]
    const keep = given.keep ?? preset?.keep ?? 'ceil-half'
    // pool max is left out, so that a resolved loss reads as it did before there was another.
    const pooled = pool === 'mean' && { pool }
    const common = { name, keep, maskScope, impl, ...pooled, ...smoothingOf(given) }
    if (mu !== undefined && lambda !== undefined) {
      return { ...common, form: 'paper' as const, mu, lambda }
    }
    const { alpha = 0, beta = 0 } = preset ?? given
    return { ...common, form: 'official' as const, alpha, beta }
  },
  classifier: () => ({ kind: 'linear' }),
})

function checkKeys(loss: z.output<typeof options>, context: z.RefinementCtx): void {
  const bad = (key: string, message: string) =>
    context.addIssue({ code: 'custom', path: [key], message })
  if (loss.pool === 'mean' && loss.impl !== 'reference') {
    bad('pool', "mean needs impl: 'reference'; the fused operator has the maximum alone")
  }
  const has = (key: keyof typeof loss) => loss[key] !== undefined
  const ways = [
    ...(has('preset') ? ['preset'] : []),
    ...(has('alpha') || has('beta') ? ['alpha and beta'] : []),
    ...(has('mu') || has('lambda') ? ['mu and lambda'] : []),
  ]
  if (ways.length === 0) {
    bad('name', 'mc needs its weights: preset, or alpha and beta, or mu and lambda')
  } else if (ways.length > 1) {
    bad('name', `mc takes its weights in one way, not in ${ways.length}: ${ways.join('; ')}`)
  }
  if (ways.length !== 1) return
  for (const [one, other] of [
    ['alpha', 'beta'],
    ['mu', 'lambda'],
  ] as const) {
    if (has(one) !== has(other)) {
      bad(has(one) ? other : one, `missing: ${one} and ${other} go together`)
    }
  }
}
