"""The demo's recipe in PyTorch, for bench/demo-seeds.mjs: one run from exported initial weights, with
the order, windows, masks and learning rates of a plan and the pixels ours decoded.

Argument: the path of a JSON request written by bench/demo-plan.mjs. Writes {recipe, top1, testLoss, n,
trainLoss per epoch, seconds, torch} to the request's `out`.
"""

import json
import os
import pathlib
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from mc_loss import mc_loss, pool
from peer_models import build


class Plan:
    """What the request names: images by split, and per step samples, windows, mask and rate."""

    def __init__(self, request):
        images, plan = pathlib.Path(request["images"]), pathlib.Path(request["plan"])
        read = lambda path, dtype, *shape: numpy.fromfile(path, dtype).reshape(shape)
        self.request, self.crop, self.padding = request, request["crop"], request["padding"]
        self.images, self.labels = {}, {}
        for split in ("train", "test"):
            self.images[split] = read(
                images / f"{split}-pixels.bin", numpy.uint8, -1, *request["resize"], 3)
            self.labels[split] = torch.from_numpy(
                read(images / f"{split}-labels.bin", numpy.int32, -1)).long()
        self.test_windows = read(images / "test-windows.bin", numpy.int32, -1, 3)
        self.order = read(plan / "order.bin", numpy.int32, -1)
        self.windows = read(plan / "windows.bin", numpy.int32, -1, 3)
        steps = len(request["counts"])
        self.masks = [None] * steps
        if request["loss"]["name"] == "mc":
            self.masks = torch.from_numpy(read(plan / "masks.bin", numpy.uint8, steps, -1)).float()
        self.mean, self.std = torch.tensor(request["mean"]), torch.tensor(request["std"])

    def batch(self, split, samples, windows):
        """-> f32 [n, 3, crop height, crop width] channels_last, labels [n]."""
        p, (height, width) = self.padding, self.crop
        crops = numpy.empty((len(samples), height, width, 3), numpy.uint8)
        for row, (sample, (top, left, flip)) in enumerate(zip(samples, windows)):
            image = numpy.pad(self.images[split][sample], ((p, p), (p, p), (0, 0)))
            crop = image[top + p:top + p + height, left + p:left + p + width]
            crops[row] = crop[:, ::-1] if flip else crop
        x = (torch.from_numpy(crops).float() / 255 - self.mean) / self.std
        return x.permute(0, 3, 1, 2), self.labels[split][torch.from_numpy(samples).long()]

    def steps(self):
        """(x, labels, mask [C], learning rate, epoch) of every step."""
        begin = 0
        for step, count in enumerate(self.request["counts"]):
            rows = slice(begin, begin + count)
            x, target = self.batch("train", self.order[rows], self.windows[rows])
            yield (x, target, self.masks[step], self.request["lr"][step],
                   self.request["epochs"][step])
            begin += count

    def tests(self, size=100):
        for begin in range(0, len(self.test_windows), size):
            samples = numpy.arange(begin, min(begin + size, len(self.test_windows)))
            yield self.batch("test", samples, self.test_windows[samples])


def main():
    request = json.loads(pathlib.Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["threads"])
    torch.set_flush_denormal(True)
    plan = Plan(request)
    model, loss_config, optim = request["model"], request["loss"], request["optim"]
    classes = model["numClasses"]
    net = build(model)
    net.load_state_dict(load_file(request["weights"]))
    net = net.to(memory_format=torch.channels_last).train()
    sgd = torch.optim.SGD(net.parameters(), lr=request["lr"][0], momentum=optim["momentum"],
                          weight_decay=optim["weightDecay"], nesterov=optim["nesterov"], fused=True)

    began = time.perf_counter()
    sums, seen = {}, {}
    for x, target, mask, lr, epoch in plan.steps():
        sgd.param_groups[0]["lr"] = lr
        sgd.zero_grad(set_to_none=True)
        features, logits = net(x)
        loss = F.cross_entropy(logits, target)
        if loss_config["name"] == "mc":
            loss = loss + mc_loss(features, target, mask, classes, loss_config["alpha"],
                                  loss_config["beta"], pool)
        loss.backward()
        sgd.step()
        sums[epoch] = sums.get(epoch, 0) + loss.detach() * len(target)
        seen[epoch] = seen.get(epoch, 0) + len(target)

    net.eval()
    correct, loss_sum, n = 0, 0.0, 0
    with torch.no_grad():
        for x, target in plan.tests():
            _, logits = net(x)
            correct += (logits.argmax(1) == target).sum().item()
            loss_sum += F.cross_entropy(logits, target, reduction="sum").item()
            n += len(target)
    out = pathlib.Path(request["out"])
    partial = out.with_suffix(".new")
    partial.write_text(json.dumps({
        "recipe": request["recipe"], "top1": correct / n, "testLoss": loss_sum / n, "n": n,
        "trainLoss": [sums[epoch].item() / seen[epoch] for epoch in sorted(sums)],
        "seconds": time.perf_counter() - began, "torch": torch.__version__,
    }))
    os.replace(partial, out)


if __name__ == "__main__":
    main()
