// An ONNX graph while it is being built: nodes in the order they run in, and the tensors they hold.

import { attributeTypes, dataTypes, type Node, type Tensor } from './onnx-schema.js'
import { requireFinite } from './tensors.js'

export class Graph {
  readonly nodes: Node[] = []
  readonly initializers: Tensor[] = []

  /** @param file of the weights, for messages */
  constructor(readonly file: string) {}

  /** Adds a node and returns the name of its one output. */
  node(
    operator: string,
    input: string[],
    attributes: Record<string, number | number[]> = {},
    output = `${operator}_${this.nodes.length}`,
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) =>
      typeof value === 'number'
        ? { name, type: attributeTypes.int, i: value }
        : { name, type: attributeTypes.ints, ints: value },
    )
    const name = `${operator}_${this.nodes.length}`
    this.nodes.push({ input, output: [output], name, op_type: operator, attribute })
    return output
  }

  /**
   * Adds values under a name of their own, and returns the name.
   *
   * @throws McLossError E_NUMERICS for values that are not finite.
   */
  floats(name: string, dims: number[], values: Float32Array): string {
    requireFinite(this.file, name, values)
    return this.#tensor(name, dims, dataTypes.float, values)
  }

  integers(values: number[]): string {
    const wide = BigInt64Array.from(values, BigInt)
    const name = `integers_${this.initializers.length}`
    return this.#tensor(name, [values.length], dataTypes.int64, wide)
  }

  /** A number, held once however often it is asked for. */
  constant(value: number): string {
    const name = `number_${value}`
    if (this.initializers.some((held) => held.name === name)) return name
    return this.floats(name, [], Float32Array.of(value))
  }

  #tensor(name: string, dims: number[], type: number, values: ArrayBufferView): string {
    const { buffer, byteOffset, byteLength } = values
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    this.initializers.push({ dims, data_type: type, name, raw_data: bytes })
    return name
  }
}
