// The messages of an ONNX file that a network without control flow needs, taken from onnx/onnx.proto of the
// ONNX project (https://github.com/onnx/onnx, Apache-2.0): names, types and numbers are its own, and what
// is never written is left out.

import protobuf from 'protobufjs'

const schema = `
syntax = "proto2";
package onnx;

message AttributeProto {
  optional string name = 1;
  optional int32 type = 20;
  optional int64 i = 3;
  repeated int64 ints = 8;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  optional string name = 3;
  optional string op_type = 4;
  repeated AttributeProto attribute = 5;
}
message TensorProto {
  repeated int64 dims = 1;
  optional int32 data_type = 2;
  optional string name = 8;
  optional bytes raw_data = 9;
}
message TensorShapeProto {
  message Dimension {
    oneof value {
      int64 dim_value = 1;
      string dim_param = 2;
    }
  }
  repeated Dimension dim = 1;
}
message TypeProto {
  message Tensor {
    optional int32 elem_type = 1;
    optional TensorShapeProto shape = 2;
  }
  oneof value {
    Tensor tensor_type = 1;
  }
}
message ValueInfoProto {
  optional string name = 1;
  optional TypeProto type = 2;
}
message GraphProto {
  repeated NodeProto node = 1;
  optional string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto {
  optional string domain = 1;
  optional int64 version = 2;
}
message StringStringEntryProto {
  optional string key = 1;
  optional string value = 2;
}
message ModelProto {
  optional int64 ir_version = 1;
  optional string producer_name = 2;
  optional string producer_version = 3;
  optional GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
  repeated StringStringEntryProto metadata_props = 14;
}
`

/** TensorProto.DataType. */
export const dataTypes = { float: 1, uint8: 2, int64: 7 } as const
/** AttributeProto.AttributeType. */
export const attributeTypes = { int: 2, ints: 7 } as const

export interface Attribute {
  name: string
  type: number
  i?: number
  ints?: number[]
}
export interface Node {
  input: string[]
  output: string[]
  name: string
  op_type: string
  attribute: Attribute[]
}
export interface Tensor {
  dims: number[]
  data_type: number
  name: string
  /** Little-endian. */
  raw_data: Uint8Array
}
export interface ValueInfo {
  name: string
  type: {
    tensor_type: {
      elem_type: number
      shape: { dim: ({ dim_value: number } | { dim_param: string })[] }
    }
  }
}
export interface Model {
  ir_version: number
  producer_name: string
  producer_version: string
  graph: {
    node: Node[]
    name: string
    initializer: Tensor[]
    input: ValueInfo[]
    output: ValueInfo[]
  }
  opset_import: { domain: string; version: number }[]
  metadata_props: { key: string; value: string }[]
}

/**
 * Hands over the bytes of an ONNX file, each tensor's as they lie: the file is not in memory as a whole.
 * Fields of a protobuf message may come in any order, so the graph is the last one and its tensors end it.
 */
export async function writeModel(
  { graph: { initializer, ...graph }, ...model }: Model,
  append: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const { root } = protobuf.parse(schema, { keepCase: true })
  const [modelType, graphType, tensorType] = ['ModelProto', 'GraphProto', 'TensorProto'].map(
    (name) => root.lookupType(`onnx.${name}`),
  ) as [protobuf.Type, protobuf.Type, protobuf.Type]
  const tensors = initializer.map(({ raw_data, ...described }) => {
    const bytes = tensorType.encode(described).finish()
    const inside = Buffer.concat([bytes, opening(tensorType, 'raw_data', raw_data.length)])
    const before = opening(graphType, 'initializer', inside.length + raw_data.length)
    return { head: Buffer.concat([before, inside]), raw_data }
  })
  const rest = graphType.encode(graph).finish()
  const length = tensors.reduce(
    (sum, { head, raw_data }) => sum + head.length + raw_data.length,
    rest.length,
  )
  await append(modelType.encode(model).finish())
  await append(opening(modelType, 'graph', length))
  await append(rest)
  for (const { head, raw_data } of tensors) {
    await append(head)
    await append(raw_data)
  }
}

/** What stands before the `length` bytes of a field. */
function opening(type: protobuf.Type, field: string, length: number): Uint8Array {
  const LENGTH_DELIMITED = 2
  const tag = ((type.fields[field]?.id as number) << 3) | LENGTH_DELIMITED
  return protobuf.Writer.create().uint32(tag).uint32(length).finish()
}
