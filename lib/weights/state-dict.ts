// Which of the things that were saved are the weights: the object itself, or what one key of it holds.

import { Dict, Global, kindOf, Tensor, Unknown, type Value } from './pickle-values.js'
import { listed, OtherKind, quoted } from './refusal.js'
import type { Dtype, StoredTensor } from './table.js'
import { oursFor } from './torch-dtypes.js'
import type { TorchFile } from './torch-file.js'

export interface StateDict {
  /** Null: the object itself. */
  wrapper: string | null
  tensors: StoredTensor[]
  /** Of the storages that they lie in. */
  keys: Set<string>
}

const SAVE = 'In Python, save the weights alone: torch.save(model.state_dict(), "weights.pth")'

/** @throws OtherKind */
export function stateDictOf({ object, storages }: TorchFile, key: string | undefined): StateDict {
  if (object instanceof Unknown) {
    throw new OtherKind(
      object.reason ?? `an object of ${kindOf(object)}, not a dict of tensors`,
      SAVE,
    )
  }
  if (!(object instanceof Dict)) {
    throw new OtherKind(`a saved ${kindOf(object)}, not a dict of tensors`, SAVE)
  }
  const wrapper = key ?? wrapperOf(object)
  const dict = wrapper === null ? object : object.entries.get(wrapper)
  if (!(dict instanceof Dict)) {
    const what =
      dict === undefined ? `has no ${quoted(wrapper ?? '')}` : `has a ${kindOf(dict)} there`
    throw new OtherKind(
      `a checkpoint that ${what}. Its keys are:${keysOf(object)}`,
      'Name a key that holds a dict of tensors, or none',
    )
  }
  const named = tensorsOf(dict)
  const tensors = named.map(({ name, tensor, dtype }): StoredTensor => {
    const { shape, strides, offset, storage } = tensor
    const { begin = 0, end = 0 } = storages.get(storage.key) ?? {}
    return { name, dtype, shape, strides, offset, storage: { begin, end } }
  })
  return { wrapper, tensors, keys: new Set(named.map(({ tensor }) => tensor.storage.key)) }
}

/** The one key that holds a dict of tensors; null if the object is such a dict itself. */
function wrapperOf(object: Dict): string | null {
  const found: string[] = []
  for (const [key, value] of object.entries) {
    if (typeof key === 'string' && value instanceof Dict && hasTensors(value)) found.push(key)
  }
  if (found.length > 1) {
    throw new OtherKind(
      `a checkpoint with several sets of weights:${listed(found.map(quoted))}`,
      'Choose one: --key KEY, or model.weightsKey in a configuration',
    )
  }
  if (found[0] !== undefined) return found[0]
  if (hasTensors(object)) return null
  for (const [key, value] of object.entries) {
    if (value instanceof Unknown && value.reason !== undefined) {
      throw new OtherKind(`a checkpoint whose ${quoted(String(key))} is ${value.reason}`, SAVE)
    }
  }
  throw new OtherKind(
    `a saved dict without a dict of tensors. Its keys are:${keysOf(object)}`,
    SAVE,
  )
}

interface NamedTensor {
  name: string
  tensor: Tensor
  dtype: Dtype
}

function tensorsOf(dict: Dict): NamedTensor[] {
  const others: string[] = []
  const named: NamedTensor[] = []
  for (const [name, value] of dict.entries) {
    const dtype = value instanceof Tensor ? oursFor(value.dtype) : undefined
    if (typeof name !== 'string' || name === '') others.push(`${textOf(name)} is no name`)
    else if (!(value instanceof Tensor)) others.push(`${quoted(name)} is ${reasonOf(value)}`)
    else if (!dtype) others.push(`${quoted(name)} has values of ${value.dtype}`)
    else named.push({ name, tensor: value, dtype })
  }
  if (others.length > 0) {
    throw new OtherKind(
      `a dict of tensors with others in it than plain ones of real numbers:${listed(others)}`,
      SAVE,
    )
  }
  if (named.length === 0) throw new OtherKind('a dict without tensors', SAVE)
  return named
}

/** What would have been a tensor counts: it is refused by its name, not overlooked. */
function hasTensors(dict: Dict): boolean {
  for (const value of dict.entries.values()) {
    if (value instanceof Tensor) return true
    if (value instanceof Unknown && value.of.module === 'torch._utils') return true
    if (value instanceof Unknown && value.of.module === 'torch._tensor') return true
  }
  return false
}

function reasonOf(value: Value): string {
  return (value instanceof Unknown && value.reason) || `a ${kindOf(value)}`
}

const textOf = (key: Value) =>
  typeof key === 'object' && !(key instanceof Global) ? kindOf(key) : quoted(String(key))

const keysOf = (dict: Dict) => listed([...dict.entries.keys()].map((key) => String(textOf(key))))
