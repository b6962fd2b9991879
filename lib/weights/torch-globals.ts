// What the names in torch's pickles mean. A tensor's rebuilding gives a Tensor, whose place in its storage
// is checked here; a container gives a container; everything else stays an Unknown, which is no error
// as long as the weights do not need it. No function is ever called.

import type { Meanings } from './pickle.js'
import {
  Dict,
  Global,
  kindOf,
  List,
  Storage,
  StorageView,
  Tensor,
  Tuple,
  Unknown,
  type Value,
} from './pickle-values.js'
import { quoted, Refusal } from './refusal.js'
import { bytesOf, dtypeOfStorage, storageElementBytes } from './torch-dtypes.js'

/** Nothing in a network's weights has more. */
const MAX_RANK = 8

/** Modules that only an attack would call from a file of weights. */
const HARMFUL =
  /^(?:os|posix|nt|subprocess|sys|socket|pty|shutil|ctypes|importlib|runpy|marshal|pickle|webbrowser)\b/
const HARMFUL_BUILTINS = /^(?:eval|exec|execfile|compile|__import__|open|input|breakpoint)$/

const UNREADABLE = new Map([
  ['_rebuild_qtensor', 'a quantised tensor: call dequantize() before saving'],
  ['_rebuild_sparse_tensor', 'a sparse tensor: call to_dense() before saving'],
  ['_rebuild_sparse_csr_tensor', 'a sparse tensor: call to_dense() before saving'],
  ['_rebuild_nested_tensor', 'a nested tensor: save the tensors it is made of'],
  ['_rebuild_meta_tensor_no_storage', 'a meta tensor, which has no data: load the model first'],
  ['_rebuild_wrapper_subclass', 'a tensor subclass: save plain tensors'],
  ['_rebuild_from_type_v2', 'a tensor subclass or one with attributes: save t.detach().clone()'],
])

export class TorchMeanings implements Meanings {
  readonly storages = new Map<string, Storage>()
  #bytesLeft: number

  constructor(
    /** In a persistent id: five in a zip file, six in a legacy one. */
    readonly idItems: 5 | 6,
    fileBytes: number,
  ) {
    this.#bytesLeft = 2 * fileBytes + 2 ** 26
  }

  call(callee: Global, args: Value[]): Value {
    const { module, name } = callee
    switch (`${module} ${name}`) {
      case 'collections OrderedDict':
        return orderedDict(args)
      case 'torch Size':
        if (args.length === 1 && args[0] instanceof Tuple) return args[0]
        break
      case 'torch._utils _rebuild_tensor':
        return this.#tensor(name, args, [4])
      case 'torch._utils _rebuild_tensor_v2':
        return this.#tensor(name, args, [6, 7])
      case 'torch._utils _rebuild_tensor_v3':
        return this.#tensor(name, args, [7, 8])
      case 'torch._utils _rebuild_parameter':
        return parameterOf(name, args, 3)
      case 'torch._utils _rebuild_parameter_with_state':
        return parameterOf(name, args, 4)
    }
    const isBuiltin = module === 'builtins' || module === '__builtin__'
    if (isBuiltin ? HARMFUL_BUILTINS.test(name) : HARMFUL.test(module)) {
      throw new Refusal(
        `it asks its reader to call ${module}.${name}`,
        'No weights need that: the file is an attack on whoever loads it in Python. Nothing was called. ' +
          'Delete it, and warn whoever gave it to you',
      )
    }
    return new Unknown(callee, reasonOf(module, name))
  }

  persistent(id: Value): Value {
    const items = id instanceof Tuple ? id.items : []
    const [tag, kind, key, , count, view] = items
    if (tag === 'module' && kind instanceof Global) return new Unknown(kind, WHOLE_MODEL)
    const elementBytes = kind instanceof Global ? elementBytesOf(kind) : undefined
    if (tag !== 'storage' || items.length !== this.idItems || typeof key !== 'string') {
      throw new Refusal('it has a persistent id that is no storage of torch')
    }
    if (!(kind instanceof Global) || elementBytes === undefined) {
      throw new Refusal(`its storage ${quoted(key)} has a class that torch does not have`)
    }
    const elements = natural(count, `the length of storage ${quoted(key)}`)
    product([elements, elementBytes], `storage ${quoted(key)}`)
    const storage = this.#storage(new Storage(key, kind.name, elementBytes, elements))
    return this.idItems === 6 && view !== null ? viewOf(storage, view) : storage
  }

  #storage(given: Storage): Storage {
    const known = this.storages.get(given.key)
    if (known && (known.kind !== given.kind || known.elements !== given.elements)) {
      throw new Refusal(`its storage ${quoted(given.key)} has two lengths or classes`)
    }
    if (!known) this.storages.set(given.key, given)
    return known ?? given
  }

  #tensor(name: string, args: Value[], counts: number[]): Value {
    const [from, offset, size, stride] = args
    const isV3 = name.endsWith('_v3')
    const storage = from instanceof StorageView && !isV3 ? from.storage : from
    if (!counts.includes(args.length) || !(storage instanceof Storage)) {
      throw new Refusal(`it calls ${name} with other arguments than torch`)
    }
    const dtype = isV3 ? dtypeNamed(args[6]) : dtypeOfStorage(storage.kind)
    const bytes = bytesOf(dtype ?? '')
    if (dtype === undefined || bytes === undefined) {
      throw new Refusal('it has a tensor of a dtype that is not known')
    }
    const view = from instanceof StorageView ? from : undefined
    const tensor = new Tensor(
      storage,
      dtype,
      naturals(size, 'size'),
      naturals(stride, 'stride'),
      natural(offset, "a tensor's offset") + (view?.begin ?? 0),
    )
    const end = view ? (view.begin + view.elements) * storage.elementBytes : storage.bytes
    this.#bytesLeft -= checkPlace(tensor, end, bytes)
    if (this.#bytesLeft < 0) throw new Refusal('its tensors repeat themselves past all measure')
    const flags = args[isV3 ? 7 : 6]
    if (!(flags instanceof Dict && hasFlag(flags))) return tensor
    return new Unknown(new Global('torch._utils', name), 'a conjugated or negated view: clone() it')
  }
}

const WHOLE_MODEL = 'a whole model, which is code and not weights: save model.state_dict()'

function reasonOf(module: string, name: string): string | undefined {
  if (module.startsWith('torch.nn.') || module.startsWith('torchvision.models')) return WHOLE_MODEL
  return module === 'torch._utils' || module === 'torch._tensor' ? UNREADABLE.get(name) : undefined
}

/** OrderedDict() and, as Python 2 writes it, OrderedDict([[key, value], ...]). */
function orderedDict(args: Value[]): Dict {
  const dict = new Dict(true)
  const [pairs] = args
  if (args.length > 1 || (pairs !== undefined && !(pairs instanceof List))) {
    throw new Refusal('it has an OrderedDict of other arguments than Python')
  }
  for (const pair of pairs?.items ?? []) {
    const [key, value, ...rest] = pair instanceof List || pair instanceof Tuple ? pair.items : []
    if (key === undefined || value === undefined || rest.length > 0 || dict.entries.has(key)) {
      throw new Refusal('it has an OrderedDict whose items are no pairs, or a key twice')
    }
    dict.entries.set(key, value)
  }
  return dict
}

function parameterOf(name: string, args: Value[], count: number): Value {
  const [data] = args
  if (args.length === count && (data instanceof Tensor || data instanceof Unknown)) return data
  throw new Refusal(`it calls ${name} with other arguments than torch`)
}

function elementBytesOf({ module, name }: Global): number | undefined {
  const home = name === 'UntypedStorage' ? /^torch(?:\.storage)?$/ : /^torch(?:\.cuda)?$/
  return home.test(module) ? storageElementBytes(name) : undefined
}

function viewOf(storage: Storage, view: Value | undefined): StorageView {
  const [key, begin, size, ...rest] = view instanceof Tuple ? view.items : []
  const from = natural(begin, 'the offset of a view')
  const elements = natural(size, 'the size of a view')
  if (typeof key !== 'string' || rest.length > 0 || from + elements > storage.elements) {
    throw new Refusal(`it has a view outside of storage ${quoted(storage.key)}`)
  }
  return new StorageView(storage, from, elements)
}

/** Bytes of the tensor's elements. Throws if one of them lies past the storage's end. */
function checkPlace(tensor: Tensor, storageEnd: number, bytes: number): number {
  const { storage, shape, strides, offset } = tensor
  const what = `a tensor in storage ${quoted(storage.key)}`
  if (shape.length !== strides.length || shape.length > MAX_RANK) {
    throw new Refusal(`${what} has ${shape.length} sizes and ${strides.length} strides`)
  }
  // A size of 0 counts as 1, as where LibTorch makes strides.
  product([...shape.map((extent) => Math.max(extent, 1)), bytes], what)
  let last = offset
  for (const [i, extent] of shape.entries()) last += Math.max(extent - 1, 0) * (strides[i] ?? 0)
  const end = product([shape.includes(0) ? offset : last + 1, bytes], what)
  if (end > storageEnd) {
    throw new Refusal(`${what} ends at byte ${end}, its storage at ${storageEnd}`)
  }
  return shape.reduce((all, extent) => all * extent, bytes)
}

const dtypeNamed = (value: Value | undefined) =>
  value instanceof Global && value.module === 'torch' ? value.name : undefined

function hasFlag(flags: Dict): boolean {
  return flags.entries.get('conj') === true || flags.entries.get('neg') === true
}

function naturals(value: Value | undefined, what: string): number[] {
  if (!(value instanceof Tuple)) throw new Refusal(`a tensor's ${what} is a ${kindOf(value)}`)
  return value.items.map((item) => natural(item, `a tensor's ${what}`))
}

function natural(value: Value | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  const given = typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value)
  throw new Refusal(`${what} is ${given}, not an integer of 0 to 2^53`)
}

function product(factors: number[], what: string): number {
  const result = factors.reduce((all, factor) => all * factor, 1)
  if (Number.isSafeInteger(result)) return result
  throw new Refusal(`${what} has a size past 2^53`)
}
