// Our names as torchvision and timm have them. The backbones have torchvision's names already; a head goes
// along if the other library computes the same from it.

import { McLossError } from '../errors.js'
import { TIMM_VGG } from '../weights/names.js'
import type { StoredTensor } from '../weights/table.js'
import type { SavedModel } from './model.js'

export type NamesOf = 'torchvision' | 'timm'

export interface Renamed {
  from: StoredTensor
  name: string
  shape: number[]
}

/**
 * @returns the tensors under their names there, and the names of those that the library has no place for
 * @throws McLossError E_ARGUMENT for a backbone that it does not have.
 */
export function renamed(saved: SavedModel, tensors: StoredTensor[], names: NamesOf) {
  const { backbone, channelsPerClass } = saved.model
  const isTheirs = /^(resnet|vgg16)/.test(backbone)
  if (!isTheirs || channelsPerClass > 0) {
    const what = isTheirs ? `${backbone} widened by channelsPerClass` : backbone
    throw new McLossError(
      'E_ARGUMENT',
      `export: ${names} has no ${what}, which ${saved.file} is. Export it as onnx.`,
    )
  }
  const kept: Renamed[] = []
  const leftOut: string[] = []
  for (const from of tensors) {
    const own = isHead(from.name) ? headName(saved, from.name) : from.name
    if (own === undefined) leftOut.push(from.name)
    else kept.push(names === 'timm' ? ofTimm(from, own) : { from, name: own, shape: from.shape })
  }
  return { kept, leftOut }
}

const isHead = (name: string) => /^(head|fc|classifier)\./.test(name)

/** torchvision's name; undefined for a head that is none of its own. */
function headName({ model }: SavedModel, name: string): string | undefined {
  const isLinear = (model.classifier?.kind ?? 'linear') === 'linear'
  if (!isLinear) return undefined
  if (model.head === 'torchvision') return name
  const isResnets = model.head === 'linear' && model.backbone.startsWith('resnet')
  return isResnets ? name.replace(/^head\./, '') : undefined
}

/** timm's VGG has convolutions over the whole map in place of the first two linear layers. */
function ofTimm(from: StoredTensor, own: string): Renamed {
  const at = own.lastIndexOf('.')
  const [layer, part] = [own.slice(0, at), own.slice(at)]
  const theirs = [...TIMM_VGG].find(([, torchvision]) => torchvision === layer)?.[0]
  if (theirs === undefined) return { from, name: own, shape: from.shape }
  const [out = 0, width = 0] = from.shape
  const isConvolution = part === '.weight' && layer !== 'classifier.6'
  const side = layer === 'classifier.0' ? 7 : 1
  const shape = isConvolution ? [out, width / side ** 2, side, side] : from.shape
  return { from, name: theirs + part, shape }
}
