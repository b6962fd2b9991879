// Where in a list or table of a data set something stands, for messages.

import { oddLetters } from '../../../difference.js'
import { McLossError } from '../../../errors.js'

export interface Place {
  file: string
  /** Such as 'line 3'. */
  at: string
}

export function placeError({ file, at }: Place, expected: string, received: unknown): McLossError {
  const text = String(received).slice(0, 200)
  return new McLossError(
    'E_DATA',
    `datasets: ${file} ${at}: expected ${expected} but received '${text}'${oddLetters(text)}. ` +
      'Correct the list, or unpack the data set again.',
  )
}
