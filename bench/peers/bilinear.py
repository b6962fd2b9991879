"""The peer of bench/bilinear.mjs: B-CNN in plain PyTorch, a few steps in a process of its own. Argument:
what Peer.setup takes, `steps`, `headLrScale` and `weights`, a file of the other side, whose last layer is
of the triangle. Prints {loss, peak, loaded, ms}: bytes, and the time of all steps but the first.
"""

import json
import sys

import torch
from safetensors.torch import load_file

from mc_loss_memory import resident
from train_step import Peer


def whole(triangle, channels):
    """The rows of the flattened matrix that give the same logits as those of its triangle [K, D]."""
    row, column = torch.triu_indices(channels, channels)
    half = triangle * torch.where(row == column, 1.0, 0.5 ** 0.5)
    matrix = triangle.new_zeros(triangle.shape[0], channels, channels)
    matrix[:, row, column] = half
    matrix[:, column, row] = half
    return matrix.flatten(1)


def load(model, path):
    state = load_file(path)
    state["head.fc.weight"] = whole(state["head.fc.weight"], model.channels)
    model.load_state_dict(state)


def main():
    request = json.loads(sys.argv[1])
    steps, scale, weights = (request.pop(key) for key in ("steps", "headLrScale", "weights"))
    torch.set_flush_denormal(True)
    loaded = resident("VmRSS")
    peer = Peer()
    peer.setup(**request)
    load(peer.model, weights)
    optim, head = request["optim"], list(peer.model.head.parameters())
    backbone = list(peer.model.features.parameters())
    peer.sgd = torch.optim.SGD(
        [{"params": backbone}, {"params": head, "lr": optim["lr"] * scale}], lr=optim["lr"],
        momentum=optim["momentum"], weight_decay=optim["weightDecay"], fused=True)
    with open("/proc/self/clear_refs", "w") as file:  # the peak begins after the weights
        file.write("5")
    first, others = peer.steps(0, 1), peer.steps(1, steps - 1)
    loss = (first["loss"] + others["loss"] * (steps - 1)) / steps
    print(json.dumps(
        {"loss": loss, "peak": resident("VmHWM"), "loaded": loaded, "ms": others["ms"]}))


if __name__ == "__main__":
    main()
