// Names and shapes as torchvision has them: without what wrappers put before every name, and with timm's
// VGG heads as linear layers again. Nothing is guessed: what is not known stays as it is.

import { OtherKind, quoted } from './refusal.js'
import { contiguousStrides, type StoredTensor } from './table.js'

export interface Named {
  tensors: StoredTensor[]
  prefix: string | null
  changes: string[]
}

/** Of DistributedDataParallel, torch.compile; of Lightning, mmpretrain and models that hold a model. */
const PREFIXES = ['module.', '_orig_mod.', 'model.', 'net.', 'backbone.', 'encoder.']

/** timm's VGG: a linear layer of torchvision's as a convolution over its whole input. */
export const TIMM_VGG = new Map([
  ['pre_logits.fc1', 'classifier.0'],
  ['pre_logits.fc2', 'classifier.3'],
  ['head.fc', 'classifier.6'],
])

export function torchvisionNames(given: StoredTensor[]): Named {
  const changes: string[] = []
  const counted = withoutCounter(given, changes)
  const prefix = prefixOf(counted.map(({ name }) => name))
  const bare = counted.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }))
  if (prefix) changes.push(`Every name began with ${quoted(prefix)}, which was left out.`)
  const tensors = fromTimm(bare, changes)
  for (const dtype of ['F16', 'BF16', 'F64']) {
    const count = tensors.filter((tensor) => tensor.dtype === dtype).length
    if (count > 0) changes.push(`${count} tensors are ${dtype}: their values become F32.`)
  }
  return { tensors, prefix: prefix || null, changes }
}

/** Averaged models (torch.optim.swa_utils) have a counter beside the model. */
function withoutCounter(tensors: StoredTensor[], changes: string[]): StoredTensor[] {
  const rest = tensors.filter(({ name }) => name !== 'n_averaged')
  const isAveraged =
    rest.length < tensors.length && rest.every(({ name }) => begins(name, 'module.'))
  if (!isAveraged) return tensors
  changes.push('The weights are an average over training; its counter n_averaged was left out.')
  return rest
}

function prefixOf(names: string[]): string {
  const isOnAll = (prefix: string) => names.every((name) => begins(name, prefix))
  let prefix = ''
  while (names.length > 0) {
    const next = PREFIXES.find((one) => isOnAll(prefix + one))
    if (next === undefined) break
    prefix += next
  }
  return prefix
}

function fromTimm(tensors: StoredTensor[], changes: string[]): StoredTensor[] {
  const names = new Set(tensors.map(({ name }) => name))
  const isVgg = names.has('pre_logits.fc1.weight') && names.has('features.0.weight')
  if (!isVgg || [...names].some((name) => begins(name, 'classifier.'))) return tensors
  changes.push("The names and shapes of timm's VGG became torchvision's.")
  return tensors.map((tensor) => {
    const at = tensor.name.lastIndexOf('.')
    const layer = TIMM_VGG.get(tensor.name.slice(0, at))
    if (layer === undefined) return tensor
    return flattened({ ...tensor, name: layer + tensor.name.slice(at) })
  })
}

/** [out, in, h, w] -> [out, in * h * w], the same bytes. */
function flattened(tensor: StoredTensor): StoredTensor {
  const { shape, strides } = tensor
  if (shape.length !== 4) return tensor
  const own = contiguousStrides(shape)
  if (!shape.every((extent, i) => extent === 1 || strides[i] === own[i])) {
    throw new OtherKind(
      `a VGG of timm whose ${quoted(tensor.name)} is not contiguous`,
      'Save it again with t.contiguous()',
    )
  }
  const [out = 0, ...rest] = shape
  const flat = [out, rest.reduce((product, extent) => product * extent, 1)]
  return { ...tensor, shape: flat, strides: contiguousStrides(flat) }
}

/**
 * Refuses weights of a part of a larger model, or with another library's names, in a sentence: the
 * list of all that is missing and unexpected would not tell.
 */
export function refuseForeignNames(tensors: StoredTensor[]): void {
  const names = tensors.map(({ name }) => name)
  if (names.some((name) => /(?:^|\.)encoder\.stages\.0\.layers\.0\./.test(name))) {
    throw new OtherKind(
      "a ResNet with the names of Hugging Face's transformers",
      "Take timm's file of the same model (timm/resnet50.a1_in1k, for one)",
    )
  }
  const roots = new Set<string>()
  for (const name of names) {
    const root = /^(.+\.)(?:conv1|layer1\.0\.conv1|features\.0)\.weight$/.exec(name)?.[1]
    if (root && /(?:^|\.)layer\d\.\d+\.$/.test(root) === false) roots.add(root)
  }
  const [root] = roots
  if (root === undefined || names.some((name) => /^(?:conv1|features\.0)\.weight$/.test(name)))
    return
  const counts = [...roots].map(
    (one) => `${quoted(one)} (${names.filter((name) => begins(name, one)).length})`,
  )
  throw new OtherKind(
    `weights of ${names.length} tensors in which a backbone's names begin with ${counts.join(', ')}`,
    `Save that part alone: torch.save({k[${root.length}:]: v for k, v in state_dict.items() if ` +
      `k.startswith(${quoted(root)})}, "weights.pth")`,
  )
}

const begins = (name: string, prefix: string) =>
  name.length > prefix.length && name.startsWith(prefix)
