// What every reader of a data set takes.

import { SPLITS, type Split } from '../../batch.js'

export interface ReaderOptions {
  /** Folder of the data; csv: also the file itself. */
  root: string
  /** False: listed images may be missing (a check that counts them). Default true. */
  checkFiles?: boolean | undefined
  /** The one split that is wanted: the other is left empty, and its images need not be there. */
  split?: Split | undefined
  /** The classes of a model, in their order; default: those that the data has. */
  knownClasses?: readonly string[] | undefined
}

export const splitsOf = (split?: Split): readonly Split[] => (split ? [split] : SPLITS)
