"""Prints as JSON what the official safetensors reader finds in a file: its metadata, and dtype,
shape and SHA-256 of the bytes of each tensor. Run: python read_safetensors.py <file>"""

import hashlib
import json
import sys

import torch
from safetensors import safe_open

NAMES = {torch.float32: 'F32', torch.int64: 'I64'}

found = {}
with safe_open(sys.argv[1], framework='pt') as file:
    metadata = file.metadata() or {}
    for name in file.keys():
        tensor = file.get_tensor(name)
        found[name] = {
            'dtype': NAMES[tensor.dtype],
            'shape': list(tensor.shape),
            'sha256': hashlib.sha256(tensor.numpy().tobytes()).hexdigest(),
        }
print(json.dumps({'metadata': metadata, 'tensors': found}))
