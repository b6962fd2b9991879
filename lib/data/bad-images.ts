// What happens with an image file that cannot be decoded: an error that names it, or, where the
// configuration says skip, it is left out of its batch, reported once, and at most one in a thousand
// (rounded up).

import { McLossError } from '../errors.js'
import type { Sample } from './batch.js'

export type OnBadImage = 'error' | 'skip'

/** The bad images of one split, over all its epochs. */
export interface BadImages {
  /** Returns when the image may be left out. @throws the error itself, or E_IMAGE past the cap. */
  report(index: number, error: unknown): void
  has(index: number): boolean
}

export function badImages(
  policy: OnBadImage,
  samples: readonly Sample[],
  onSkip: (message: string) => void = () => {},
): BadImages {
  const skipped = new Set<number>()
  const most = Math.ceil(samples.length / 1000)
  return {
    has: (index) => skipped.has(index),
    report(index, error) {
      if (policy === 'error' || !(error instanceof McLossError && error.code === 'E_IMAGE')) {
        throw error
      }
      if (skipped.has(index)) return
      if (skipped.size === most) {
        throw new McLossError(
          'E_IMAGE',
          `data: more than ${most} of ${samples.length} images cannot be decoded, the most that ` +
            `data.onBadImage skip leaves out. The last: ${error.message} ` +
            "'mcloss data check' lists them all.",
          { cause: error },
        )
      }
      skipped.add(index)
      onSkip(`left out, ${skipped.size} of at most ${most}: ${error.message}`)
    },
  }
}
