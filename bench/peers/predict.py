"""Peer of bench/predict.mjs: a network of timm (channels_last, inference_mode) over JPEG files, which a
DataLoader's workers decode and resize with PIL. They hand over u8 pixels, a quarter of float32's bytes.

Reads one JSON command a line on stdin, answers with one JSON line on stdout.
"""

import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from timm_models import timm
from torch.utils.data import DataLoader, Dataset

from lines import serve


class Files(Dataset):
    def __init__(self, paths, resize, size):
        self.paths, self.resize, self.size = paths, resize, size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = Image.open(self.paths[index]).convert("RGB")
        image = image.resize((self.resize, self.resize), Image.BILINEAR)
        edge = (self.resize - self.size) // 2
        image = image.crop((edge, edge, edge + self.size, edge + self.size))
        return torch.from_numpy(np.array(image))


class Peer:
    def setup(self, model, classes, weights, paths, resize, size, batch, workers, threads, mean, std):
        torch.set_num_threads(threads)
        self.model = timm.create_model(model, num_classes=classes)
        self.model.load_state_dict(load_file(weights))
        self.model.eval().to(memory_format=torch.channels_last)
        self.scale = (1 / (255 * torch.tensor(std))).view(1, 3, 1, 1)
        self.shift = (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1)
        self.files = Files(paths, resize, size)
        self.loader = DataLoader(self.files, batch_size=batch, num_workers=workers,
                                 persistent_workers=workers > 0)
        self.predict()  # starts the workers, makes oneDNN's kernels
        return {"timm": timm.__version__}

    def input_of(self, pixels):
        """u8 [N, H, W, 3] -> float32 [N, 3, H, W], which lies in memory as channels_last."""
        return pixels.permute(0, 3, 1, 2).float().mul_(self.scale).add_(self.shift)

    def predict(self):
        began, images, top = time.perf_counter(), 0, []
        with torch.inference_mode():
            for pixels in self.loader:
                probabilities = self.model(self.input_of(pixels)).softmax(1)
                top.append(probabilities.topk(5).values.tolist())
                images += len(pixels)
        return {"ms": 1000 * (time.perf_counter() - began), "images": images}

    def embed(self, count):
        pixels = torch.stack([self.files[index] for index in range(count)])
        with torch.inference_mode():
            features = self.model.forward_features(self.input_of(pixels))
            return {"embeddings": self.model.forward_head(features, pre_logits=True).tolist()}


if __name__ == "__main__":
    serve(Peer())
