"""Weights and images that both sides compute, so that no weight file is stored.

The twin of test/support/formula-weights.ts and test/support/formula-batch.ts. Every number comes from words(name):
FNV-1a of the name, then MurmurHash3's finaliser of (hash + index * golden ratio), 32 bits each.
"""

import math

import numpy as np
import torch

MASK = np.uint64(0xFFFFFFFF)


def words(name, count):
    """uint64 [count], values 0..2^32-1."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.uint64(seed) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9)) & MASK
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & MASK
    return x ^ (x >> np.uint64(16))


def weight(name, shape):
    """A parameter or buffer of that name, float32 (the batch counter: int64)."""
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.int64)
    u = words(name, math.prod(shape)) / 2**31 - 1  # [-1, 1)
    if name.endswith('running_var') or (name.endswith('weight') and len(shape) == 1):
        values = 1 + u * 0.25
    elif name.endswith('weight'):
        values = u * math.sqrt(6 / math.prod(shape[1:]))  # keeps the variance through a ReLU
    else:  # bias, running_mean
        values = u * 0.1
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def fill(model):
    state = {name: weight(name, list(t.shape)) for name, t in model.state_dict().items()}
    model.load_state_dict(state)


def pixels(count, height, width):
    """u8 [count, height, width, 3]: 8x8 blocks of random colour, image n at (n % 4 + 1) / 4 of its
    brightness; a grain of 4 bits keeps max-pools free of ties."""
    rows, columns = -(-height // 8), -(-width // 8)
    blocks = words('pixels', count * rows * columns * 3).reshape(count, rows, columns, 3)
    blocks = (blocks >> np.uint64(24)) * (np.arange(count, dtype=np.uint64) % 4 + 1)[
        :, None, None, None
    ] >> np.uint64(2)
    image = blocks.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    grain = words('grain', image.size).reshape(image.shape) >> np.uint64(28)
    return np.ascontiguousarray((image ^ grain).astype(np.uint8))


def windows(step, count, image, crop, padding):
    """int64 [count, 3]: top, left, flip. image, crop: (height, width)."""
    draws = words(f'windows.{step}', count * 3).astype(np.int64).reshape(count, 3)
    for axis in (0, 1):
        draws[:, axis] = draws[:, axis] % (image[axis] - crop[axis] + 2 * padding + 1) - padding
    draws[:, 2] >>= 31
    return draws
