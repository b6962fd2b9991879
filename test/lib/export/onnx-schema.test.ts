// The bytes of an ONNX file in pieces: together a message as protobuf has it, and no tensor is copied.

import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { type Tensor, writeModel } from '../../../lib/export/onnx-schema.js'

test('the pieces are one message, and tensors are handed over as they lie', async () => {
  const initializer: Tensor[] = [1, 2 ** 7, 2 ** 14, 0].map((length, at) => ({
    ...{ dims: [length], data_type: 2, name: `t${at}` },
    raw_data: new Uint8Array(length).fill(at + 1),
  }))
  const node = { input: ['image'], output: ['y'], name: 'n', op_type: 'Relu', attribute: [] }
  const pieces: Uint8Array[] = []
  const graph = { node: [node], name: 'toy', initializer, input: [], output: [] }
  const versions = { ir_version: 8, producer_name: 'mcloss', producer_version: '1' }
  const model = { ...versions, graph, opset_import: [{ domain: '', version: 17 }] }
  await writeModel({ ...model, metadata_props: [] }, async (piece) => {
    pieces.push(piece)
  })
  for (const { raw_data } of initializer) expect(pieces).toContain(raw_data)

  const { root } = protobuf.parse(`syntax = "proto2";
    message Tensor { repeated int64 dims = 1; optional string name = 8; optional bytes raw_data = 9; }
    message Node { repeated string input = 1; optional string op_type = 4; }
    message Graph { repeated Node node = 1; optional string name = 2; repeated Tensor initializer = 5; }
    message Model { optional int64 ir_version = 1; required Graph graph = 7; }`)
  const type = root.lookupType('Model')
  const read = type.toObject(type.decode(Buffer.concat(pieces)), { longs: Number, bytes: Array })
  expect(read).toMatchObject({
    irVersion: 8,
    graph: {
      node: [{ input: ['image'], opType: 'Relu' }],
      name: 'toy',
      initializer: initializer.map(({ dims, name, raw_data }) => ({
        ...{ dims, name, rawData: Array.from(raw_data) },
      })),
    },
  })
})
