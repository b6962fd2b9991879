// What every reader of a data set takes.

export interface ReaderOptions {
  /** Folder of the data; csv: also the file itself. */
  root: string
  /** False: listed images may be missing (a check that counts them). Default true. */
  checkFiles?: boolean | undefined
}
