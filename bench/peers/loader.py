"""Peer A of bench/loader.mjs: a PyTorch DataLoader over JPEG files. PIL decodes and resizes (bilinear,
full resolution), then a random crop, a flip, and float32 normalised; as many worker processes as cores.

Reads one JSON command a line on stdin, answers with one JSON line on stdout.
"""

import random
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lines import serve


class Files(Dataset):
    def __init__(self, paths, resize, crop):
        self.paths, self.resize, self.crop = paths, resize, crop

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = Image.open(self.paths[index]).convert("RGB")
        image = image.resize((self.resize, self.resize), Image.BILINEAR)
        margin = self.resize - self.crop
        left, top = random.randint(0, margin), random.randint(0, margin)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image))
        return pixels.float().mul_(1 / 127.5).sub_(1).permute(2, 0, 1)


class Peer:
    def setup(self, paths, resize, crop, batch, workers):
        self.loader = DataLoader(Files(paths, resize, crop), batch_size=batch, shuffle=True,
                                 num_workers=workers, persistent_workers=True)
        self.epoch()  # starts the workers
        return {}

    def epoch(self):
        began, images, total = time.perf_counter(), 0, 0.0
        for batch in self.loader:
            images += len(batch)
            total += batch[0, 0, 0, 0].item()
        return {"ms": 1000 * (time.perf_counter() - began), "images": images, "sum": total}


if __name__ == "__main__":
    torch.set_num_threads(1)  # the workers have the cores
    serve(Peer())
