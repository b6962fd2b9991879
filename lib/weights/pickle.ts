// An interpreter of the part of Python's pickle language that torch.save uses: protocol 2, these opcodes
// and no other. It calls nothing and looks nothing up: what a call or a persistent id means is asked
// of `meanings`, which answers with another inert value. It does not recurse, and nothing walks what it
// makes, so neither depth nor references that multiply can cost more than the bytes they are written with.

import { Dict, Global, kindOf, List, Tuple, Unknown, type Value } from './pickle-values.js'
import { EndOfBytes, Refusal } from './refusal.js'

export interface Meanings {
  call(callee: Global, args: Value[]): Value
  persistent(id: Value): Value
}

/** A checkpoint of 1,200 tensors with its optimizer has a tenth of it. */
const MAX_OPCODES = 1_000_000
/** Memo indices count up from 0, one for at most every opcode. */
const MAX_MEMO = MAX_OPCODES

const MODULE = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/
const IDENTIFIER = /^[A-Za-z_]\w*$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the pickle that begins at `begin`; `end` is the byte after its STOP. */
export function readPickle(
  bytes: Buffer,
  begin: number,
  meanings: Meanings,
): { value: Value; end: number } {
  return new Unpickler(bytes, begin, meanings).run()
}

class Unpickler {
  readonly #memo = new Map<number, Value>()
  readonly #stack: Value[] = []
  /** Heights of the stack at each MARK. */
  readonly #marks: number[] = []
  #at: number

  constructor(
    readonly bytes: Buffer,
    begin: number,
    readonly meanings: Meanings,
  ) {
    this.#at = begin
  }

  run(): { value: Value; end: number } {
    this.#expectProtocol()
    for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
      const opcode = this.#byte()
      if (opcode === 0x2e) return this.#stop()
      this.#execute(opcode)
    }
    this.#fail(`more than ${MAX_OPCODES} opcodes`)
  }

  #expectProtocol(): void {
    const [proto, version] = [this.#byte(), this.#byte()]
    if (proto !== 0x80) this.#fail('no PROTO at its beginning')
    if (version === 2) return
    throw new Refusal(
      `it is a pickle of protocol ${version}`,
      'torch.save writes protocol 2, and torch.load(weights_only=True) takes no other: save it again ' +
        'without pickle_protocol',
    )
  }

  #stop(): { value: Value; end: number } {
    const value = this.#pop()
    if (this.#stack.length > 0 || this.#marks.length > 0) this.#fail('values left at STOP')
    return { value, end: this.#at }
  }

  #execute(opcode: number): void {
    switch (opcode) {
      case 0x28: // MARK
        this.#marks.push(this.#stack.length)
        break
      case 0x4e: // NONE
        this.#stack.push(null)
        break
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        this.#stack.push(opcode === 0x88)
        break
      case 0x4a: // BININT
        this.#stack.push(this.#take(4).readInt32LE())
        break
      case 0x4b: // BININT1
        this.#stack.push(this.#byte())
        break
      case 0x4d: // BININT2
        this.#stack.push(this.#take(2).readUInt16LE())
        break
      case 0x8a: // LONG1
        this.#stack.push(integerOf(this.#take(this.#byte())))
        break
      case 0x47: // BINFLOAT
        this.#stack.push(this.#take(8).readDoubleBE())
        break
      case 0x58: // BINUNICODE
        this.#stack.push(this.#text(this.#take(4).readUInt32LE()))
        break
      case 0x55: // SHORT_BINSTRING
        this.#stack.push(this.#text(this.#byte()))
        break
      case 0x29: // EMPTY_TUPLE
        this.#stack.push(new Tuple([]))
        break
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.#stack.push(new Tuple(this.#popMany(opcode - 0x84)))
        break
      case 0x74: // TUPLE
        this.#stack.push(new Tuple(this.#popMark()))
        break
      case 0x5d: // EMPTY_LIST
        this.#stack.push(new List())
        break
      case 0x61: // APPEND
        this.#append(this.#popMany(1))
        break
      case 0x65: // APPENDS
        this.#append(this.#popMark())
        break
      case 0x7d: // EMPTY_DICT
        this.#stack.push(new Dict(false))
        break
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2))
        break
      case 0x75: // SETITEMS
        this.#setItems(this.#popMark())
        break
      case 0x71: // BINPUT
        this.#put(this.#byte())
        break
      case 0x72: // LONG_BINPUT
        this.#put(this.#take(4).readUInt32LE())
        break
      case 0x68: // BINGET
        this.#get(this.#byte())
        break
      case 0x6a: // LONG_BINGET
        this.#get(this.#take(4).readUInt32LE())
        break
      case 0x63: // GLOBAL
        this.#stack.push(this.#global())
        break
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.#call()
        break
      case 0x62: // BUILD
        this.#build()
        break
      case 0x51: // BINPERSID
        this.#stack.push(this.meanings.persistent(this.#pop()))
        break
      default:
        this.#at--
        this.#fail(`the opcode 0x${opcode.toString(16)}, which torch.save does not write,`)
    }
  }

  #call(): void {
    const [callee, args] = this.#popMany(2)
    if (!(callee instanceof Global)) this.#fail(`a call of a ${kindOf(callee)}`)
    if (!(args instanceof Tuple)) this.#fail(`a call with a ${kindOf(args)} for its arguments`)
    this.#stack.push(this.meanings.call(callee, args.items))
  }

  /** The state of an object: that of an OrderedDict (_metadata) says nothing about weights. */
  #build(): void {
    this.#pop()
    const built = this.#top()
    if (built instanceof Unknown || (built instanceof Dict && built.ordered)) return
    this.#fail(`BUILD on a ${kindOf(built)}`)
  }

  #append(items: Value[]): void {
    const list = this.#top()
    if (list instanceof List) for (const item of items) list.items.push(item)
    else if (!(list instanceof Unknown)) this.#fail(`APPEND to a ${kindOf(list)}`)
  }

  #setItems(items: Value[]): void {
    const dict = this.#top()
    if (items.length % 2 !== 0) this.#fail('a key without a value')
    if (dict instanceof Unknown) return
    if (!(dict instanceof Dict)) this.#fail(`SETITEM on a ${kindOf(dict)}`)
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i] as Value
      if (dict.entries.has(key)) this.#fail(`the key ${JSON.stringify(String(key))} twice`)
      dict.entries.set(key, items[i + 1] as Value)
    }
  }

  #put(index: number): void {
    if (index >= MAX_MEMO) this.#fail(`the memo index ${index}`)
    this.#memo.set(index, this.#top())
  }

  #get(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) this.#fail(`the memo index ${index}, which was not set,`)
    this.#stack.push(value)
  }

  #global(): Global {
    const [module, name] = [this.#line(), this.#line()]
    if (!MODULE.test(module) || !IDENTIFIER.test(name)) this.#fail('a name that Python cannot have')
    return new Global(module, name)
  }

  #line(): string {
    const end = this.bytes.indexOf('\n', this.#at)
    if (end < 0) throw new EndOfBytes('its pickle ends inside a name')
    const line = this.bytes.toString('latin1', this.#at, end)
    this.#at = end + 1
    return line
  }

  #text(length: number): string {
    try {
      return utf8.decode(this.#take(length))
    } catch (error) {
      if (error instanceof Refusal) throw error
      this.#fail('text that is not UTF-8')
    }
  }

  #byte(): number {
    const byte = this.bytes[this.#at++]
    if (byte === undefined) throw new EndOfBytes('its pickle ends early')
    return byte
  }

  #take(length: number): Buffer {
    if (length > this.bytes.length - this.#at) throw new EndOfBytes('its pickle ends early')
    this.#at += length
    return this.bytes.subarray(this.#at - length, this.#at)
  }

  /** Values below the last MARK cannot be reached. */
  #floor(): number {
    return this.#marks.at(-1) ?? 0
  }

  #top(): Value {
    if (this.#stack.length <= this.#floor()) this.#fail('a value from an empty stack')
    return this.#stack.at(-1) as Value
  }

  #pop(): Value {
    const value = this.#top()
    this.#stack.pop()
    return value
  }

  #popMany(count: number): Value[] {
    if (this.#stack.length - count < this.#floor()) this.#fail('values from an empty stack')
    return this.#stack.splice(this.#stack.length - count)
  }

  #popMark(): Value[] {
    const begin = this.#marks.pop()
    if (begin === undefined) this.#fail('no MARK')
    return this.#stack.splice(begin)
  }

  #fail(what: string): never {
    throw new Refusal(`its pickle has ${what} at byte ${this.#at}`)
  }
}

/** Little-endian, two's complement; a bigint past 2^53. */
function integerOf(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0
  const unsigned = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const integer = BigInt.asIntN(8 * bytes.length, unsigned)
  const isSafe = integer <= Number.MAX_SAFE_INTEGER && integer >= Number.MIN_SAFE_INTEGER
  return isSafe ? Number(integer) : integer
}
