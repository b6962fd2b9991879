// What explain finds in a picture: the content of maps.json and of the page.

import type { McLossError } from '../errors.js'
import type { ClassMaps } from '../maps/class-maps.js'

export const ROLES = ['own', 'runner-up'] as const
/** own: the predicted class; runner-up: the second most probable. */
export type Role = (typeof ROLES)[number]

/** A class of a picture: what maps.json has of it, and the files of its maps. */
export interface ExplainedClass extends Pick<ClassMaps, 'label' | 'group' | 'shape' | 'h'> {
  role: Role
  class: string
  probability: number
  /** Null where fewer than two channels are not 0 everywhere. */
  overlap: number | null
  files: { ccmp: string; channels: string[] }
  maps: number[]
  ccmp: number[]
}

export interface Explained {
  path: string
  /** Of the picture as the network sees it; undefined with an error. */
  file?: string
  /** [height, width] on the page. */
  size?: [number, number]
  classes: ExplainedClass[]
  error?: McLossError
}
