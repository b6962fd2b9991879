// Where in a list or table of a data set something stands, for messages.

import { McLossError } from '../../../errors.js'

export interface Place {
  file: string
  /** Such as 'line 3'. */
  at: string
}

export function placeError({ file, at }: Place, expected: string, received: unknown): McLossError {
  return new McLossError(
    'E_DATA',
    `datasets: ${file} ${at}: expected ${expected} but received ` +
      `'${String(received).slice(0, 200)}'. Correct the list, or unpack the data set again.`,
  )
}
