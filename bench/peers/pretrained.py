"""The Python of bench/pretrained.mjs.

write MODEL FOLDER: the backbone (features.*) of a model.safetensors as FOLDER/backbone.zip.pth,
backbone.legacy.pth and backbone.safetensors.
load FILE THREADS: builds VGG-16, loads FILE into it; prints {build, load: seconds, peak, loaded: bytes,
parameters}.
"""

import json
import pathlib
import sys
import time

import torch

from mc_loss_memory import resident
from peer_models import build


def write(model, folder):
    from safetensors.torch import load_file, save_file

    folder = pathlib.Path(folder)
    backbone = {k: v for k, v in load_file(model).items() if k.startswith("features.")}
    torch.save(backbone, folder / "backbone.zip.pth")
    torch.save(backbone, folder / "backbone.legacy.pth", _use_new_zipfile_serialization=False)
    save_file(backbone, folder / "backbone.safetensors")


def load(path, threads):
    torch.set_num_threads(int(threads))
    loaded = resident("VmRSS")
    began = time.perf_counter()
    model = build({
        "backbone": "vgg16", "head": "torchvision", "numClasses": 1000,
        "channelsPerClass": 0, "input": {"height": 224, "width": 224},
    })
    built = time.perf_counter()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    done = time.perf_counter()
    print(json.dumps({
        "build": built - began, "load": done - built, "peak": resident("VmHWM"), "loaded": loaded,
        "parameters": sum(p.numel() for p in model.parameters()),
    }))


if __name__ == "__main__":
    {"write": write, "load": load}[sys.argv[1]](*sys.argv[2:])
