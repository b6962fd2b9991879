// A pull reader for the little JSON that a safetensors header is: objects, arrays, strings and
// non-negative integers. The caller walks its own schema, so depth is bounded by that schema.
// JSON.parse would lose names given twice, and take 1.0 and 1e0 for 1.

const SPACE = /[ \t\n\r]*/y
const INTEGER = /(?:0|[1-9][0-9]*)/y
/** What ends or interrupts a string. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const SPECIAL = /["\\\u0000-\u001f]/g
const ESCAPE = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y
/** Of two that make a character, the u flag sees the character. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** Every method throws a SyntaxError "<what is wrong> at byte <offset>" for text that is not valid. */
export class JsonReader {
  readonly #text: string
  #at = 0

  constructor(bytes: Buffer) {
    this.#text = bytes.toString('utf8')
    const again = Buffer.from(this.#text)
    if (again.equals(bytes)) return
    const wrong = bytes.findIndex((byte, at) => byte !== again[at])
    throw new SyntaxError(`not UTF-8 at byte ${wrong}`)
  }

  /** Calls onMember(name) with the reader at the member's value, which onMember must read. */
  object(onMember: (name: string) => void): void {
    const names = new Set<string>()
    this.#list('{', '}', () => {
      const name = this.string()
      if (names.has(name)) this.fail(`the name ${JSON.stringify(name)} twice in the object, ending`)
      names.add(name)
      this.#expect(':')
      onMember(name)
    })
  }

  /** Calls onItem() with the reader at each item, which onItem must read. */
  array(onItem: () => void): void {
    this.#list('[', ']', onItem)
  }

  string(): string {
    this.#expect('"')
    const begin = this.#at - 1
    for (;;) {
      SPECIAL.lastIndex = this.#at
      const special = SPECIAL.exec(this.#text)
      if (!special) this.fail('a string without an end')
      this.#at = special.index + 1
      if (special[0] === '"') break
      if (special[0] !== '\\') this.fail('a control character in a string')
      if (this.#token(ESCAPE) === undefined) this.fail('an unknown escape in a string')
    }
    const value: string = JSON.parse(this.#text.slice(begin, this.#at))
    if (LONE_SURROGATE.test(value)) this.fail('a surrogate without the other, ending')
    return value
  }

  /** Past 2^53 it is the nearest double. */
  integer(): number {
    this.#peek()
    const digits = this.#token(INTEGER)
    if (digits === undefined) this.fail('expected a non-negative integer')
    return Number(digits)
  }

  /** Nothing but white space may follow. */
  end(): void {
    if (this.#peek() !== '') this.fail('text after the end')
  }

  fail(what: string): never {
    const offset = Buffer.byteLength(this.#text.slice(0, this.#at))
    throw new SyntaxError(`${what} at byte ${offset}`)
  }

  #list(open: string, close: string, onItem: () => void): void {
    this.#expect(open)
    if (this.#peek() !== close) {
      for (;;) {
        onItem()
        if (this.#peek() !== ',') break
        this.#at++
      }
    }
    this.#expect(close)
  }

  /** The next character that is no white space; '' at the end. */
  #peek(): string {
    this.#token(SPACE)
    return this.#text.charAt(this.#at)
  }

  #expect(wanted: string): void {
    if (this.#peek() !== wanted) this.fail(`expected '${wanted}'`)
    this.#at++
  }

  #token(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }
}
