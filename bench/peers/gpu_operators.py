"""bench/gpu-operators.mjs: our operators and PyTorch's in one process on the same inputs. The time of each
form is that of a CUDA graph of it on every input by turns, between two events; the inputs together are
larger than the cache.

A form of batch norm takes (x, residual or None, BatchNorm, gradient) and returns the result and its
gradients; `exact` is PyTorch's own in float64.
"""

import torch
import torch.nn.functional as F

from lines import serve
from mc_loss_cuda import between_events, copied_per_second

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def ours(x, residual, norm, grad):
    y = torch.ops.mcloss.batch_norm_act(
        x, residual, norm.weight, norm.bias, norm.running_mean, norm.running_var, True, 0.1, 1e-5, True)
    return y, gradients(y, x, residual, norm, grad)


def theirs(x, residual, norm, grad):
    y = norm(x)
    if residual is not None:
        y += residual
    y = F.relu_(y)
    return y, gradients(y, x, residual, norm, grad)


def gradients(y, x, residual, norm, grad):
    inputs = [x, norm.weight, norm.bias] + ([] if residual is None else [residual])
    return torch.autograd.grad(y, inputs, grad)


def gathered(store, rows, windows, size):
    return torch.ops.mcloss.gather_augment(
        store, rows, windows, None, size, size, MEAN, STD, torch.bfloat16)


class Indexed:
    """One gather of u8 by indices, then the arithmetic."""

    def __init__(self, size):
        self.along = torch.arange(size, device="cuda")
        self.mean = 255 * torch.tensor(MEAN, device="cuda")
        self.scale = 1 / (255 * torch.tensor(STD, device="cuda"))

    def __call__(self, store, rows, windows, size):
        top, left, flip = windows.long().unsqueeze(2).unbind(1)
        columns = left + torch.where(flip == 1, self.along.flip(0), self.along)
        images = rows.long().view(-1, 1, 1)
        x = store[images, (top + self.along).unsqueeze(2), columns.unsqueeze(1)]
        return x.sub(self.mean).mul_(self.scale).to(torch.bfloat16).permute(0, 3, 1, 2)


class Operators:
    def setup(self, library, threads):
        torch.ops.load_library(library)
        properties = torch.cuda.get_device_properties(0)
        self.memory = max(256 << 20, 4 * properties.L2_cache_size)
        return {"gpu": properties.name}

    def batch_norm(self, shape, dtype, residual, replays):
        torch.manual_seed(1)
        torch.cuda.empty_cache()
        dtype = getattr(torch, dtype)
        new = lambda: torch.randn(shape, device="cuda").to(dtype, memory_format=torch.channels_last)
        bytes = torch.Size(shape).numel() * dtype.itemsize
        sets = [(new().requires_grad_(), new().requires_grad_() if residual else None, new())
                for _ in range(max(2, -(-self.memory // (bytes * (3 if residual else 2)))))]
        norms = {name: torch.nn.BatchNorm2d(shape[1]).cuda() for name in ("ours", "theirs")}
        forms = {"ours": ours, "theirs": theirs}
        error = self.errors(forms, norms, *sets[0])
        times = self.times({name: lambda inputs, name=name: forms[name](
            inputs[0], inputs[1], norms[name], inputs[2]) for name in forms}, sets, replays)
        # Forward reads x twice and writes y; backward reads x and the gradient twice, with a residual also
        # y once and the masked gradient in place of the gradient, which it writes; and writes grad_x.
        passes = 3 + 5 + (1 + 2 if residual else 0)
        return {"times": times, "errors": error, "bytes": passes * bytes}

    def errors(self, forms, norms, x, residual, grad):
        """Largest relative 2-norm distance of any result from float64, of each form."""
        exact = torch.nn.BatchNorm2d(x.shape[1]).cuda().double()
        double = [None if t is None else t.detach().double().requires_grad_() for t in (x, residual)]
        y, grads = theirs(*double, exact, grad.double())
        expected, result = [y, *grads], {}
        for name, form in forms.items():
            y, grads = form(x, residual, norms[name], grad)
            result[name] = max(((a.double() - b).norm() / b.norm()).item()
                               for a, b in zip([y, *grads], expected))
        return result

    def gather(self, images, side, size, batch, replays):
        torch.manual_seed(1)
        store = torch.randint(0, 256, (images, side, side, 3), dtype=torch.uint8, device="cuda")
        sets = []
        for rows in torch.randperm(images).to(torch.int32).split(batch):
            places = torch.randint(0, side - size + 1, (len(rows), 2))
            flips = torch.randint(0, 2, (len(rows), 1))
            windows = torch.cat([places, flips], 1).to(torch.int32)
            sets.append((store, rows.cuda(), windows.cuda(), size))
        indexed = Indexed(size)
        apart = (gathered(*sets[0]).float() - indexed(*sets[0]).float()).abs().max().item()
        forms = {"ours": lambda inputs: gathered(*inputs), "theirs": lambda inputs: indexed(*inputs)}
        return {"times": self.times(forms, sets, replays), "apart": apart}

    def times(self, forms, sets, replays):
        """{form: milliseconds of each replay, per input}, by turns."""
        graphs, result = {}, {name: [] for name in forms}
        for name, form in forms.items():
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for inputs in sets[:3]:
                    form(inputs)
            torch.cuda.current_stream().wait_stream(stream)
            graphs[name] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graphs[name]):
                for inputs in sets:
                    form(inputs)
        for turn in range(-2, replays):  # the first two warm up
            for name in graphs if turn % 2 == 0 else reversed(graphs):
                elapsed = between_events(graphs[name].replay)
                if turn >= 0:
                    result[name].append(elapsed / len(sets))
        return result

    def bandwidth(self):
        return {"bytesPerSecond": copied_per_second()}


if __name__ == "__main__":
    serve(Operators())
