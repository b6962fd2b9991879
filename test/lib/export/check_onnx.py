"""Checks an ONNX file and runs it on u8 pictures; prints what it is and what it says as JSON."""
import json
import sys

import numpy
import onnx
import onnxruntime

path, pictures = sys.argv[1:]
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)


def described(value):
    tensor = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
    return [value.name, kind, [one.dim_param or one.dim_value for one in tensor.shape.dim]]


shape = [one.dim_value for one in model.graph.input[0].type.tensor_type.shape.dim][1:]
images = numpy.fromfile(pictures, numpy.uint8).reshape([-1, *shape])
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
metadata = session.get_modelmeta().custom_metadata_map
print(
    json.dumps(
        {
            "ir": model.ir_version,
            "opset": [[one.domain, one.version] for one in model.opset_import],
            "producer": model.producer_name,
            "inputs": [described(value) for value in model.graph.input],
            "outputs": [described(value) for value in model.graph.output],
            "metadata": [entry.key for entry in model.metadata_props],
            "classes": json.loads(metadata["classes"]),
            "probabilities": session.run(["probabilities"], {"image": images})[0].ravel().tolist(),
        }
    )
)
