"""Peer A of bench/start.mjs: the same first step in Python. Arguments: the image folder, threads."""

import json
import pathlib
import random
import sys

import numpy
import torch
import torch.nn.functional as F
from PIL import Image

from peer_models import build


def load(path):
    """-> u8 [112, 112, 3]: resized to 128 x 128, a random crop, mirrored or not."""
    pixels = numpy.asarray(Image.open(path).convert("RGB").resize((128, 128), Image.BILINEAR))
    top, left = random.randrange(17), random.randrange(17)
    crop = pixels[top:top + 112, left:left + 112]
    return crop[:, ::-1] if random.random() < 0.5 else crop


def main():
    root, threads = pathlib.Path(sys.argv[1]) / "train", int(sys.argv[2])
    torch.set_num_threads(threads)
    classes = sorted(folder.name for folder in root.iterdir())
    samples = [(path, label) for label, name in enumerate(classes)
               for path in sorted((root / name).iterdir())]
    random.shuffle(samples)
    model = build({
        "backbone": "resnet18", "head": "torchvision", "numClasses": len(classes),
        "channelsPerClass": 0, "input": {"height": 112, "width": 112},
    }).to(memory_format=torch.channels_last).train()
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)

    pixels = torch.from_numpy(numpy.stack([load(path) for path, _ in samples[:8]]))
    x = pixels.permute(0, 3, 1, 2).float().sub_(127.5).mul_(1 / 127.5)
    _, logits = model(x)
    loss = F.cross_entropy(logits, torch.tensor([label for _, label in samples[:8]]))
    loss.backward()
    sgd.step()
    print(json.dumps({"loss": loss.item()}), flush=True)


if __name__ == "__main__":
    main()
