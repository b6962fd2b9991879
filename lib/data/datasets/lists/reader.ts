// What the readers of data sets take.

export type AircraftLevel = 'variant' | 'family' | 'manufacturer'

export interface ReaderOptions {
  /** Folder of the data; csv: also the file itself. */
  root: string
  /** False: listed images may be missing (a check that counts them). Default true. */
  checkFiles?: boolean | undefined
  /** fgvc-aircraft: what the classes are. Default variant. */
  level?: AircraftLevel | undefined
  /** fgvc-aircraft: cut the 20 pixels with the copyright off the bottom. Default true. */
  cropStrip?: boolean | undefined
}
