// What the parts of a run share while it goes on.

import type { NativeTrainer } from '../binding.js'
import type { Config } from '../config/index.js'
import type { Normalisation } from '../config/normalisation.js'
import type { Dataset } from '../data/batch.js'
import type { Stores } from '../data/store/index.js'
import type { EvaluatedBatch } from '../records/answers.js'
import type { Records } from '../records/index.js'
import type { Claim } from './claim.js'
import type { Journal } from './journal.js'
import type { MapSheets } from './map-sheets.js'
import type { Session } from './session.js'

export type RunContext = Session & {
  config: Config
  dataset: Dataset
  stores: Stores
  trainer: NativeTrainer
  /** Images that are trained on; those of data.validation are not. */
  trainSamples: number
  stepsPerEpoch: number
  lrAt: (step: number) => number
  /** The evaluation of the best epoch, on the split that best is picked on; none if an earlier start made it. */
  bestBatches?: EvaluatedBatch[] | undefined
  normalisation: Normalisation
  journal: Journal
  records: Records
  mapSheets: MapSheets
  claim: Pick<Claim, 'requireHeld'>
}
