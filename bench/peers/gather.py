"""The Python side of bench/loader.mjs for gather_augment: the operator and PyTorch's tensor slicing on
the same store, rows and windows, and the rate at which memory is copied.

Reads one JSON command a line on stdin, answers with one JSON line on stdout.
"""

import time

import torch

from lines import serve

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def ours(store, rows, windows, size, dtype=torch.float32):
    return torch.ops.mcloss.gather_augment(store, rows, windows, None, size, size, MEAN, STD, dtype)


class Slicing:
    """The fastest form we know without an operator of one's own: the crop, the cast and the mean in one
    pass from the u8 slice straight into the batch, then one multiplication in place."""

    def __init__(self):
        self.mean, self.scale = 255 * torch.tensor(MEAN), 1 / (255 * torch.tensor(STD))

    def __call__(self, store, rows, windows, size):
        out = torch.empty(len(rows), size, size, 3)
        for n, (row, (top, left, flip)) in enumerate(zip(rows.tolist(), windows.tolist())):
            image = store[row, top:top + size, left:left + size]
            torch.sub(image.flip(1) if flip else image, self.mean, out=out[n])
        return out.mul_(self.scale).permute(0, 3, 1, 2)


class Bench:
    def setup(self, library, threads):
        torch.set_num_threads(threads)
        torch.ops.load_library(library)
        return {}

    def case(self, images, side, size, batch):
        torch.manual_seed(1)
        self.size = size
        self.store = torch.randint(0, 256, (images, side, side, 3), dtype=torch.uint8)
        margin = side - size + 1
        self.batches = []
        for rows in torch.randperm(images).to(torch.int32).split(batch):
            places = torch.randint(0, margin, (len(rows), 2))
            flips = torch.randint(0, 2, (len(rows), 1))
            self.batches.append((rows, torch.cat([places, flips], 1).to(torch.int32)))
        self.forms = {"ours": ours, "slicing": Slicing()}
        rows, windows = self.batches[0]
        a, b = (form(self.store, rows, windows, size) for form in self.forms.values())
        return {"apart": (a - b).abs().max().item()}

    def time(self, runs):
        """Batches by turns, A B B A ..: {form: milliseconds of each}, and of copying a float batch."""
        result = {"ours": [], "slicing": [], "copy": []}
        source = torch.rand(len(self.batches[0][0]), 3, self.size, self.size)
        for turn in range(runs + 2):
            rows, windows = self.batches[turn % len(self.batches)]
            for name in list(result) if turn % 2 else list(result)[::-1]:
                began = time.perf_counter()
                if name == "copy":
                    torch.empty_like(source).copy_(source)
                else:
                    self.forms[name](self.store, rows, windows, self.size)
                if turn >= 2:
                    result[name].append(1000 * (time.perf_counter() - began))
        return {**result, "copyBytes": 2 * source.numel() * 4}


if __name__ == "__main__":
    serve(Bench())
