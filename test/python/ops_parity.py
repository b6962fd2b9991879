"""Holds torch.ops.mcloss.* against the formulas of docs/mc-loss.md written in torch, forward and
backward. Run: python ops_parity.py <libmcloss_ops.so>, with the torch the library was built
against. The last line is the number of checks; the first that does not hold ends it with code 1.
"""

import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, pad

sys.path.insert(0, str(Path(__file__).parents[1] / 'reference' / 'python'))
import philox  # noqa: E402

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}
SHAPES = [  # N, C, H, W, classes
    (3, 9, 4, 4, 3),
    (2, 14, 3, 5, 4),
    (2, 13, 7, 2, 5),
    (2, 5, 3, 3, 1),
    (3, 7, 1, 1, 3),
    (2, 47, 6, 7, 20),
]
checks = 0


def check(holds, what):
    global checks
    if not holds:
        sys.exit(f'FAILED {what}')
    checks += 1


def close(actual, expected, tolerance, what):
    """Max abs difference <= tolerance * max abs expected, in float64."""
    same = actual.shape == expected.shape
    worst = (actual.double() - expected).abs().max().item() if same else float('nan')
    allowed = tolerance * expected.abs().max().item()
    check(worst <= allowed, f'{what}: {worst} above {allowed}, {list(actual.shape)}')


def formulas(features, mask, classes):
    """(g, h) [N, K], and [N, C]: false where rounding may decide a softmax maximum of the group."""
    maps = features.flatten(2)
    attended = maps if mask is None else maps * mask.to(maps)[..., None]
    soft = maps.softmax(2)
    g, h, clear = [], [], []
    for begin, end in philox.groups(features.shape[1], classes):
        g.append(attended[:, begin:end].max(1).values.mean(1))
        h.append(soft[:, begin:end].max(1).values.sum(1))
        best = soft[:, begin:end].detach().sort(1, descending=True).values
        gap = (best[:, :1] - best) / best[:, :1]
        near = ((gap > 0) & (gap < 1e-5)).flatten(1).any(1, keepdim=True)
        clear.append(~near.expand(-1, end - begin))
    return torch.stack(g, 1), torch.stack(h, 1), torch.cat(clear, 1)


def losses(g, h, target, channels):
    """The MC part in both forms."""
    xi = torch.tensor([end - begin for begin, end in philox.groups(channels, h.shape[1])]).to(h)
    dis = cross_entropy(g, target)
    return 0.7 * (dis - 3 * h.mean()), 1.5 * dis + 20 * (1 - h / xi).mean()


def scores(shape, classes, mask, dtype, relu, what):
    features = (3 * torch.rand(shape, dtype=torch.float64) - 1).to(dtype)
    if relu:
        features = features.relu()
    target = torch.randint(classes, shape[:1])
    ours = features.clone().requires_grad_()
    theirs = features.double().requires_grad_()  # the same stored values
    g, h = torch.ops.mcloss.mc_scores(ours, mask, classes)
    expected_g, expected_h, clear = formulas(theirs, mask, classes)
    check(g.dtype == dtype and h.dtype == dtype, f'{what}: dtype')
    close(g, expected_g, TOLERANCE[dtype], f'{what}: g')
    close(h, expected_h, TOLERANCE[dtype], f'{what}: h')
    pairs = zip(losses(g, h, target, shape[1]), losses(expected_g, expected_h, target, shape[1]))
    for form, (loss, expected) in zip(('paper', 'official'), pairs):
        (grad,) = torch.autograd.grad(loss, ours, retain_graph=True)
        (expected_grad,) = torch.autograd.grad(expected, theirs, retain_graph=True)
        close(grad[clear], expected_grad[clear], TOLERANCE[dtype], f'{what}: {form} gradient')
    return clear


def mc_scores():
    clear = []
    for *shape, classes in SHAPES:
        n, c = shape[:2]
        masks = {'none': None, '[C]': torch.rand(c) < 0.5, '[N, C]': torch.rand(n, c) < 0.5}
        for name, mask in masks.items():
            for dtype in TOLERANCE:
                for relu in (False, True):
                    what = f'mc_scores {shape} / {classes}, mask {name}, {dtype}, relu {relu}'
                    clear.append(scores(shape, classes, mask, dtype, relu, what).flatten())
    left_out = 1 - torch.cat(clear).double().mean().item()
    check(left_out <= 0.01, f'near ties: {left_out} of the channels left out')


def registration():
    """Fake tensors, the autograd registration, torch's own gradient check, and a refusal."""
    features = torch.rand(2, 7, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(7) < 0.5
    utilities = ('test_schema', 'test_autograd_registration', 'test_faketensor')
    operator = torch.ops.mcloss.mc_scores
    torch.library.opcheck(operator.default, (features, mask, 3), test_utils=utilities)
    check(torch.autograd.gradcheck(lambda f: operator(f, mask, 3), (features,)), 'gradcheck')
    try:
        operator(features, mask, 9)
        check(False, 'more classes than channels are refused')
    except RuntimeError as error:
        check('7 channels for 9 classes' in str(error), f'the words of the refusal: {error}')


def cwa_mask():
    seed = 0x123456789ABCD
    for channels, classes in ((23, 5), (12, 4), (6, 1)):
        for ratio, keep in ((0.0, 'ceil-half'), (0.6, 0.6), (1.0, 1.0)):
            for scope, rows in (('batch', 1), ('sample', 3)):
                actual = torch.ops.mcloss.cwa_mask(
                    channels, classes, ratio, scope == 'sample', seed, 41, rows, 2
                )
                expected = philox.cwa_mask(channels, classes, keep, scope, seed, 41, rows, 2)
                holds = torch.equal(actual.reshape(rows, channels), expected.bool())
                check(holds, f'cwa_mask {channels} / {classes}, keep {keep}, {scope}')


def crop_flip_normalize():
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    pixels = torch.randint(256, (4, 7, 9, 3), dtype=torch.uint8)
    windows = torch.tensor([[0, 0, 0], [1, 2, 1], [-3, -2, 0], [4, 6, 1]], dtype=torch.int32)
    actual = torch.ops.mcloss.crop_flip_normalize(pixels, windows, 5, 6, mean, std)
    padded = pad(pixels.permute(0, 3, 1, 2).double(), (6, 6, 6, 6))
    mean, std = (torch.tensor(values).double()[:, None, None] for values in (mean, std))
    for image, out, (top, left, flip) in zip(padded, actual, windows.tolist()):
        window = image[:, top + 6 : top + 11, left + 6 : left + 12]
        expected = ((window.flip(2) if flip else window) / 255 - mean) / std
        worst = (out - expected).abs().max().item()
        check(worst <= 1e-6, f'crop_flip_normalize at {top}, {left}: {worst}')


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.manual_seed(20260)
    torch.ops.load_library(sys.argv[1])
    mc_scores()
    registration()
    cwa_mask()
    crop_flip_normalize()
    print(f'{checks} checks')
