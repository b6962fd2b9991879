// What a reader of folders leaves out, and why: nobody should miss images without a word.

import { extname, relative } from 'node:path'

/** Each with its words for one thing and for several. */
const reasons = {
  format: ['image in a format that is not read', 'images in formats that are not read'],
  hidden: ['hidden image', 'hidden images'],
  outside: ['image in no class folder', 'images in no class folder'],
  val: [
    'image of val, which is read only without test',
    'images of val, which is read only without test',
  ],
  ending: ['entry that is no image by its ending', 'entries that are no images by their ending'],
  special: ['entry that is neither file nor folder', 'entries that are neither files nor folders'],
} as const

export interface LeftOut {
  reason: keyof typeof reasons
  path: string
}

const READ = /\.(jpe?g|png|webp)$/i
/** What torchvision and Keras also take, and what cameras and telephones save. */
const UNREAD = /\.(avif|bmp|gif|hei[cf]|jfif|jpe|jp2|jxl|p[bgpn]m|svg|tga|tiff?|dng|cr2|nef|arw)$/i

export const isRead = (name: string) => READ.test(name)
export const isUnreadImage = (name: string) => UNREAD.test(name)

/**
 * A clause per reason: how many, of which endings, the first. `root` is taken off the paths.
 * Empty for nothing.
 */
export function leftOutText(root: string, leftOut: readonly LeftOut[]): string {
  const kinds = Object.keys(reasons) as LeftOut['reason'][]
  const clauses = kinds.flatMap((reason) => {
    const paths = leftOut.filter((one) => one.reason === reason).map(({ path }) => path)
    const [first] = paths
    if (first === undefined) return []
    const [one, several] = reasons[reason]
    const endings = new Set(paths.map((path) => extname(path).toLowerCase()))
    const named = reason === 'format' ? ` (${[...endings].sort().join(', ')})` : ''
    const which = paths.length === 1 ? '' : 'the first is '
    const words = `${paths.length} ${paths.length === 1 ? one : several}${named}`
    return `${words}, ${which}${relative(root, first)}`
  })
  return clauses.join('; ')
}
