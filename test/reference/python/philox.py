"""Philox4x32-10, the channel-wise attention mask and the dropout mask: docs/architecture.md,
native/ops/kernel/philox.h and native/ops/channel_groups.h in plain Python."""

import math

import torch

CWA_MASK, DROPOUT = 3, 4  # streams


def block(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & 0xFFFFFFFF,
             first >> 32 ^ c[3] ^ k[1], first & 0xFFFFFFFF]  # fmt: skip
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def draw(seed, step, sample, number, stream):
    return block((step, sample, number >> 2, stream), (seed & 0xFFFFFFFF, seed >> 32))[number & 3]


def groups(channels, classes):
    """[(begin, end)]: the first classes - r groups own q channels, the last r own q + 1."""
    q, r = divmod(channels, classes)
    begins = [k * q + max(0, k - (classes - r)) for k in range(classes + 1)]
    return list(zip(begins, begins[1:]))


def kept(xi, keep):
    if keep == 'ceil-half':
        return (xi + 1) // 2
    return min(max(math.floor(keep * xi + 0.5), 1), xi)


def cwa_mask(channels, classes, keep, scope, seed, step, samples, first=0):
    """0/1, [samples, channels]: a class keeps the channels with the smallest (word, channel)."""
    rows = []
    for sample in range(first, first + samples):
        at = sample if scope == 'sample' else 0
        row = [0.0] * channels
        for begin, end in groups(channels, classes):
            order = sorted(
                range(begin, end),
                key=lambda c: (draw(seed, step, at, c, CWA_MASK), c),
            )
            for channel in order[: kept(end - begin, keep)]:
                row[channel] = 1.0
        rows.append(row)
    return torch.tensor(rows)


def half_dropout(shape, layer, seed, step, first):
    """[N, D] of 0 and 2: a value stays where its word's top bit is set."""
    n, d = shape
    scale = [
        [2.0 * (draw(seed, step, first + i, layer * d + j, DROPOUT) >> 31) for j in range(d)]
        for i in range(n)
    ]
    return torch.tensor(scale)
