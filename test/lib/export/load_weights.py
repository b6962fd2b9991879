"""Runs lines of docs/export.md that load exported weights, then their model on u8 pictures, and prints its
logits as JSON. Where torchvision is not there, plain torch modules with its names stand for it.
"""
import importlib
import json
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy
import torch
from peer_models import build


def plain_resnet18(num_classes):
    settings = {"backbone": "resnet18", "head": "torchvision", "channelsPerClass": 0}
    model = build({**settings, "numClasses": num_classes})
    model.forward = lambda x: type(model).forward(model, x)[1]
    return model


given = json.loads(sys.argv[1])
if given["names"] == "timm":
    library = importlib.import_module("timm_models").timm
elif find_spec("torchvision"):
    library = importlib.import_module("torchvision")
else:
    library = SimpleNamespace(models=SimpleNamespace(resnet18=plain_resnet18))
defined = {given["names"]: library}
exec(given["lines"], defined)

shape = [-1, given["side"], given["side"], 3]
pixels = torch.from_numpy(numpy.fromfile(given["pictures"], numpy.uint8).reshape(shape))
mean, std = (torch.tensor(given[key]) for key in ("mean", "std"))
images = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
with torch.inference_mode():
    print(json.dumps(defined["model"].eval()(images).tolist()))
