// Bounding boxes given by two corners, as MATLAB counts pixels.

import type { Sample } from '../../batch.js'
import { type Place, placeError } from './place.js'

/**
 * x1, y1, x2, y2 of the first and the last pixel, counted from 1, as x, y, width and height of
 * pixels counted from 0. A first corner of 0, which official lists have, is one of 1.
 *
 * @throws McLossError E_DATA naming the place of other than four numbers or of corners that are
 * exchanged.
 */
export function pixelBox(corners: readonly number[], place: Place): NonNullable<Sample['box']> {
  const [x1 = -1, y1 = -1, x2 = -1, y2 = -1] = corners
  const [x, y] = [Math.max(x1, 1) - 1, Math.max(y1, 1) - 1]
  if (corners.length === 4 && Math.min(x1, y1) >= 0 && x2 > x && y2 > y) {
    return [x, y, x2 - x, y2 - y]
  }
  throw placeError(place, 'a box: x1 y1 x2 y2 with x1 <= x2 and y1 <= y2', corners.join(' '))
}
