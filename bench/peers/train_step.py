"""Peer A of bench/train-step.mjs: eager PyTorch at its best CPU settings (channels_last, fp32, fused
SGD, gradients set to none, MC-Loss in the faster of its two forms, flush-denormal). Peer B: the same
with model and loss as one graph under torch.compile.

Reads one JSON command a line on stdin, answers with one JSON line on stdout, and sleeps on the pipe
in between. `reference` and `compare` are the numerics rule (bench/numerics.mjs): one step of this side
from given masks, held against a file of the other side's gradients. `move` and `free_step` are the
second rule (bench/free-run.mjs).
"""

import copy
import time
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import lines
from mc_loss import draw_mask, faster_form, mc_loss, pool
from peer_models import build


class Pixels:
    """The batches bench/batches.mjs wrote: u8 [batches, batch, side, side, 3]."""

    def __init__(self, shape, mean, std, device):
        self.device = device
        count = shape["batches"] * shape["batch"]
        side, self.size = shape["side"], shape["size"]
        self.batches = shape["batches"]
        files = shape["files"]
        read = lambda name, dtype, n: torch.from_file(files[name], size=n, dtype=dtype).clone()
        self.pixels = read("pixels", torch.uint8, count * side * side * 3).view(
            self.batches, -1, side, side, 3)
        self.windows = read("windows", torch.int32, count * 3).view(self.batches, -1, 3).tolist()
        self.labels = read("labels", torch.int32, count).view(self.batches, -1).long()
        self.mean, self.scale = 255 * torch.tensor(mean), 1 / (255 * torch.tensor(std))

    def at(self, step):
        """-> f32 [N, 3, size, size] channels_last, labels [N].

        The crop, the cast and the mean in one pass from the u8 slice straight into the batch, then
        one multiplication in place: the fastest form we know without an operator of one's own."""
        i, size = step % self.batches, self.size
        out = torch.empty(len(self.windows[i]), size, size, 3)
        for n, (top, left, flip) in enumerate(self.windows[i]):
            image = self.pixels[i, n, top:top + size, left:left + size]
            torch.sub(image.flip(1) if flip else image, self.mean, out=out[n])
        x = out.mul_(self.scale).permute(0, 3, 1, 2)
        return x.to(self.device), self.labels[i].to(self.device)


class Peer:
    def setup(self, model, loss, optim, shape, threads, mean, std, seed, compiled=False, device="cpu"):
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.pixels, self.device = Pixels(shape, mean, std, device), device
        self.classes, self.loss_config, self.optim_config = shape["classes"], loss, optim
        self.model = build(model).to(device, memory_format=torch.channels_last).train()
        self.sgd = torch.optim.SGD(
            self.model.parameters(), lr=optim["lr"], momentum=optim["momentum"],
            weight_decay=optim["weightDecay"], fused=True)
        self.form, form_name = pool, None
        if loss["name"] == "mc":
            x, target = self.pixels.at(0)
            with torch.no_grad():
                features, _ = copy.deepcopy(self.model)(x)
            form_name, self.form = faster_form(features, target, self.classes, loss)
            self.channels = features.shape[1]
        # Whole: a part that stayed eager would make B another peer without a word.
        self.loss_and_logits = (torch.compile(self.forward, fullgraph=True) if compiled
                                else self.forward)
        return {"form": form_name, "parameters": sum(p.numel() for p in self.model.parameters())}

    def forward(self, x, target, mask):
        with self.autocast():
            features, logits = self.model(x)
            return self.criterion(features, logits, target, mask), logits

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda")

    def criterion(self, features, logits, target, mask):
        loss = F.cross_entropy(logits, target)
        if self.loss_config["name"] == "mc":
            alpha, beta = self.loss_config["alpha"], self.loss_config["beta"]
            loss = loss + mc_loss(features, target, mask, self.classes, alpha, beta, self.form)
        return loss

    def steps(self, first, count):
        """Whole steps, pixels to statistics; the sums are read once at the end."""
        began = time.perf_counter()
        loss_sum = torch.zeros((), device=self.device)
        correct, seen = torch.zeros((), dtype=torch.long, device=self.device), 0
        for step in range(first, first + count):
            x, target = self.pixels.at(step)
            loss, logits = self.update(x, target, self.mask())
            loss_sum += loss * len(target)
            correct += (logits.argmax(1) == target).sum()
            seen += len(target)
        loss, accuracy = loss_sum.item() / seen, correct.item() / seen
        return {"ms": 1000 * (time.perf_counter() - began), "loss": loss, "top1": accuracy}

    def mask(self):
        if self.loss_config["name"] != "mc":
            return None
        return draw_mask(self.channels, self.classes, self.loss_config["keep"], self.device)

    def update(self, x, target, mask):
        self.sgd.zero_grad(set_to_none=True)
        loss, logits = self.loss_and_logits(x, target, mask)
        loss.backward()
        self.sgd.step()
        return loss.detach(), logits.detach()

    def save(self, path):
        state = {name: t.contiguous() for name, t in self.model.state_dict().items()}
        save_file(state, path)
        return {}

    def move(self, seed):
        """Every parameter one float up or down, at random."""
        torch.manual_seed(seed)
        moved = moved_by_an_ulp(self.model)
        with torch.no_grad():
            for parameter, other in zip(self.model.parameters(), moved.parameters()):
                parameter.copy_(other)
        return {}

    def free_step(self, step, mask, dropout):
        """One whole step with given masks; its loss."""
        x, target = self.pixels.at(step)
        given = None if mask is None else torch.tensor(mask, dtype=x.dtype)
        self.sgd.zero_grad(set_to_none=True)
        features, logits = self.model(x, dropout)
        loss = self.criterion(features, logits, target, given)
        loss.backward()
        self.sgd.step()
        return {"loss": loss.item()}

    def reference(self, step, mask, dropout, exact):
        """Loss and gradients of this side, of a twin whose weights differ by one ulp, and where `exact`
        of a copy in float64; nothing is updated yet."""
        x, target = self.pixels.at(step)
        given = None if mask is None else torch.tensor(mask, dtype=x.dtype, device=x.device)
        self.twin = moved_by_an_ulp(self.model)
        self.exact = copy.deepcopy(self.model).double() if exact else None
        self.sgd.zero_grad(set_to_none=True)
        losses = []
        for model in filter(None, (self.model, self.twin, self.exact)):
            dtype = next(model.parameters()).dtype
            with nullcontext() if model is self.exact else self.autocast():
                features, logits = model(x.to(dtype), dropout)
                loss = self.criterion(
                    features, logits, target, None if given is None else given.to(dtype))
            loss.backward()
            losses.append(loss.item())
        return {"loss": losses[0], "twinLoss": losses[1], "exactLoss": losses[2] if exact else None}

    def compare(self, path):
        """Relative 2-norm differences from this side's gradients, of the other side's (`ours`), of the
        twin's and, where there is one, of float64's (`exact`), per tensor and over all tensors (name
        ''), with the norm of this side's; of all tensors also `fromExact`, ours from float64's. Then
        this side takes its step."""
        ours, tensors = load_file(path, device=self.device), []
        sides = {"twin": self.twin, "exact": self.exact}
        grads = {side: {name: p.grad for name, p in model.named_parameters()}
                 for side, model in sides.items() if model is not None}
        total = {}
        square = lambda x: x.double().square().sum().item()
        for name, parameter in self.model.named_parameters():
            grads["ours"] = {name: ours.pop(name)}
            squares = {side: square(of[name] - parameter.grad) for side, of in grads.items()}
            if "exact" in grads:
                squares["fromExact"] = square(grads["ours"][name] - grads["exact"][name])
            squares["norm"] = square(parameter.grad)
            tensors.append(relative(name, squares))
            total = {key: value + total.get(key, 0.0) for key, value in squares.items()}
        self.twin = self.exact = None
        self.sgd.step()
        tensors.append(relative("", total))
        return {"tensors": tensors, "unexpected": sorted(ours)}


def relative(name, squares):
    norm = squares["norm"]
    shares = {side: (square / norm) ** 0.5 for side, square in squares.items()}
    return {"name": name, **shares, "norm": norm ** 0.5}


def moved_by_an_ulp(model):
    """A copy with every parameter one float up or down, at random."""
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in twin.parameters():
            direction = torch.where(torch.rand_like(parameter) < 0.5, -1.0, 1.0) * torch.inf
            parameter.copy_(torch.nextafter(parameter, direction))
    return twin


def serve(peer):
    torch.set_flush_denormal(True)
    lines.serve(peer)


if __name__ == "__main__":
    serve(Peer())
