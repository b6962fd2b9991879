// The accuracies of a test split in a line.

import type { TestFigures } from '../events.js'
import { percent } from './percent.js'

export function accuracyText({ top1, top5 }: TestFigures): string {
  return `top-1 ${percent(top1, 2)}, top-5 ${percent(top5, 2)}`
}
