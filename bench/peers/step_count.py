"""The operators that one training step dispatches below autograd, with their tensors: `peer` is PyTorch's
eager step as a user writes it, `ours` the step of native/train/step/trainer.cpp. Both run on meta tensors,
which have shapes and no values, as on a GPU: channels_last, bfloat16 by autocast, fused SGD.

Argument: a JSON list of {side, form, model, loss, optim, size, batch, library}; prints for each a list of
{op, calls, inputs, outputs}, as JSON. form: of the peer's MC-Loss, `slices` or `pool`.
"""

import json
import sys
from collections import Counter

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import native_step
from cuda_autocast import CudaAutocast
from mc_loss import mc_loss, pool, slices
from peer_models import build


class Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        name = function._schema.name
        # These write into their first arguments and have no form for meta tensors.
        silent = name in ("aten::_fused_sgd_", "mcloss::draw_cwa_mask_")
        result = None if silent else function(*arguments, **keywords)
        # A convolution of meta tensors loses the layout that cuDNN keeps (ATen/native/ConvUtils.h).
        if name == "aten::convolution":
            result = torch.empty_like(result, memory_format=torch.channels_last)
        elif name == "aten::convolution_backward":
            result = [None if gradient is None else torch.empty_like(like)
                      for gradient, like in zip(result, (arguments[1], arguments[2], None))]
        inputs = tensors_of([*arguments, *keywords.values()])
        self.calls[json.dumps([name, inputs, tensors_of([result])])] += 1
        return result

    def lines(self):
        for key, calls in self.calls.items():
            op, inputs, outputs = json.loads(key)
            yield {"op": op, "calls": calls, "inputs": inputs, "outputs": outputs}


def tensors_of(values):
    """[shape, bytes per value, layout] of every tensor; sizes along which it repeats are 1."""
    found = []
    for value in values:
        if isinstance(value, (list, tuple)):
            found += tensors_of(value)
        elif isinstance(value, torch.Tensor):
            shape = [1 if step == 0 else size for size, step in zip(value.shape, value.stride())]
            found.append([shape, value.itemsize, layout_of(value)])
    return found


def layout_of(tensor):
    if tensor.is_contiguous():
        return "contiguous"
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return "channels_last"
    return "strided"


class PeerStep:
    """What bench/peers/train_step.py does on a GPU, from the batch that lies there in float32."""

    def __init__(self, asked):
        self.loss, self.optim = asked["loss"], asked["optim"]
        self.classes = asked["model"]["numClasses"]
        self.form = {"slices": slices, "pool": pool}.get(asked["form"])
        self.model = build(asked["model"]).to(memory_format=torch.channels_last).train()
        self.parameters = list(self.model.parameters())
        self.velocities = [torch.empty_like(parameter) for parameter in self.parameters]
        shape = (asked["batch"], 3, asked["size"], asked["size"])
        self.x = torch.empty(shape).to(memory_format=torch.channels_last)
        self.target = torch.empty(asked["batch"], dtype=torch.long)
        self.loss_sum, self.correct = torch.empty(()), torch.empty((), dtype=torch.long)
        # In the map's own type: a float32 mask would widen every pass over the map.
        self.mask = torch.empty(self.model.channels, dtype=torch.bfloat16)

    def __call__(self):
        for parameter in self.parameters:
            parameter.grad = None
        with CudaAutocast():
            features, logits = self.model(self.x)
            loss = F.cross_entropy(logits, self.target)
            if self.loss["name"] == "mc":
                loss = loss + mc_loss(features, self.target, self.mask, self.classes,
                                      self.loss["alpha"], self.loss["beta"], self.form)
        loss.backward()
        # As _fused_sgd of torch/optim/sgd.py, which refuses meta tensors.
        torch._fused_sgd_(
            self.parameters, [parameter.grad for parameter in self.parameters], self.velocities,
            weight_decay=self.optim["weightDecay"], momentum=self.optim["momentum"],
            lr=self.optim["lr"], dampening=0, nesterov=False, maximize=False, is_first_step=False)
        self.loss_sum += loss.detach() * len(self.target)
        self.correct += (logits.argmax(1) == self.target).sum()


def operators_of(asked):
    with torch.device("meta"):
        step = (native_step.NativeStep if asked["side"] == "ours" else PeerStep)(asked)
        recorder = Recorder()
        with recorder:
            step()
    return list(recorder.lines())


if __name__ == "__main__":
    print(json.dumps([operators_of(asked) for asked in json.loads(sys.argv[1])]))
