// What a pickle's values are here: inert records, never JavaScript objects with the file's names.

export class Tuple {
  constructor(readonly items: Value[]) {}
}

export class List {
  constructor(readonly items: Value[] = []) {}
}

export class Dict {
  readonly entries = new Map<Value, Value>()
  /** ordered: an OrderedDict, which may have a state of its own. */
  constructor(readonly ordered: boolean) {}
}

/** A name of Python's. It is never looked up. */
export class Global {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/** What a call would have made, had anything been called. */
export class Unknown {
  constructor(
    readonly of: Global,
    /** Why no weights can be had from it, and what helps; undefined: it has nothing to do with weights. */
    readonly reason?: string,
  ) {}
}

/** Of a torch file: the bytes behind one or more tensors. */
export class Storage {
  constructor(
    readonly key: string,
    /** Its class, as in 'FloatStorage'. */
    readonly kind: string,
    readonly elementBytes: number,
    readonly elements: number,
  ) {}
  get bytes(): number {
    return this.elements * this.elementBytes
  }
}

/** A part of a storage, as files of old have it; begin in elements. */
export class StorageView {
  constructor(
    readonly storage: Storage,
    readonly begin: number,
    readonly elements: number,
  ) {}
}

export class Tensor {
  constructor(
    readonly storage: Storage,
    /** torch's name of it: 'float32', ... */
    readonly dtype: string,
    readonly shape: number[],
    readonly strides: number[],
    /** Elements. */
    readonly offset: number,
  ) {}
}

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Tuple
  | List
  | Dict
  | Global
  | Unknown
  | Storage
  | StorageView
  | Tensor

/** For messages: what a value is, without looking into it. */
export function kindOf(value: Value | undefined): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'bigint') return 'number'
  if (typeof value !== 'object') return typeof value
  if (value instanceof Unknown) return `${value.of.module}.${value.of.name}`
  return value.constructor.name.toLowerCase()
}
