// What a loss says about itself. A loss is a file of this folder and a line of all.ts.

import { z } from 'zod'
import type { Classifier, NativeLoss } from '../../binding.js'

export interface Loss<Options, Resolved extends NativeLoss> {
  /** What a user writes: a strict object whose `name` is the literal name of the loss. */
  options: z.ZodType<Options> & { shape: { name: z.ZodLiteral<string> } }
  /** What the run keeps and native gets, every default filled in. */
  resolve(options: Options): Resolved
  /** With the defaults that follow from the number of classes; most losses have none. */
  forClasses?(loss: Resolved, numClasses: number): Resolved
  /** The only classifier it can train. */
  classifier(loss: Resolved): Classifier
  /** A schedule of the loss: a pure function, handed to every step as the learning rate is. */
  scalar?(loss: Resolved, step: number, totalSteps: number): number
}

export function defineLoss<Schema extends z.ZodObject, Resolved extends NativeLoss>(
  loss: Loss<z.output<Schema>, Resolved> & { options: Schema },
) {
  return loss
}

export const notNegative = z.number().nonnegative()
export const positive = z.number().positive()

export const labelSmoothing = notNegative
  .lt(1)
  .default(0)
  .describe('share of the target that cross entropy spreads evenly over all classes')

/** Left out at 0, so that a resolved loss reads as it did before there was smoothing. */
export function smoothingOf(options: { labelSmoothing: number }): { labelSmoothing?: number } {
  return options.labelSmoothing > 0 ? { labelSmoothing: options.labelSmoothing } : {}
}
