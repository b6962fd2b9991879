"""The operator's benchmarks: the forms of MC-Loss they hold against each other, inputs for them, and
the check that a form computes the loss and its gradient.

A form takes (case, features) and returns the loss. `ours` and `reference` are the operators of
libmcloss_ops.so; `slices` and `pool` are what a PyTorch user writes (mc_loss.py); `gathers` selects the
channels of every class by an index list, as the authors' code does.
"""

import math

import torch

from mc_loss import draw_mask, group_sizes, mc_loss, pool, slices

NEAR_TIE = 1e-5  # softmaxes closer than this may change places in float32
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


class Case:
    """Feature maps of one shape after a ReLU, more of them together than a cache holds, with labels
    and a mask that keeps 0.6 of each class's channels (2 of 3, 6 of 10, 7 of 11)."""

    def __init__(self, shape, classes, layout, dtype, alpha, beta, device='cpu', memory=256 << 20):
        torch.manual_seed(1)
        self.classes, self.alpha, self.beta = classes, alpha, beta
        self.dtype = DTYPES[dtype]
        form = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}[layout]
        self.bytes = torch.Size(shape).numel() * self.dtype.itemsize
        self.inputs = [
            torch.randn(shape).relu_().to(device, self.dtype, memory_format=form).requires_grad_()
            for _ in range(max(3, -(-memory // self.bytes)))
        ]
        self.target = torch.randint(classes, shape[:1]).to(device)
        mask = draw_mask(shape[1], classes, 0.6)
        self.mask, self.keep = mask.to(device, self.dtype), mask.bool().to(device)
        self.turn = 0

    def next_input(self):
        self.turn += 1
        return self.inputs[self.turn % len(self.inputs)]

    def step(self, form, features):
        """Forward and backward; -> loss, gradient."""
        loss = form(self, features)
        return loss, torch.autograd.grad(loss, features)[0]


def gathers(x, classes):
    """As `slices`: the channels of each class by an index list, then all maxima side by side."""
    lists = torch.arange(x.shape[1], device=x.device).split(
        [xi for k, xi in group_sizes(x.shape[1], classes) for _ in range(k)])
    return torch.stack([x.index_select(1, own).amax(1) for own in lists], 1).flatten(2)


def operator(name):
    def form(case, features):
        call = getattr(torch.ops.mcloss, name)
        return call(features, case.target, case.keep, case.classes, case.alpha, 0.0,
                    case.beta)[0]
    return form


def composed(maxima):
    def form(case, features):
        return mc_loss(features, case.target, case.mask, case.classes, case.alpha, case.beta, maxima)
    return form


FORMS = {
    'ours': operator('mc_loss'),
    'reference': operator('mc_loss_reference'),
    'slices': composed(slices),
    'pool': composed(pool),
    'gathers': composed(gathers),
}
SPLITS_TIES = ('slices', 'gathers')  # amax: equal maxima share the gradient; elsewhere the first has it


def check(case, forms):
    """Holds each form against its formulas in float64, on one input. forms: {name: form}. -> {name:
    {loss, lossError, gradientError, ok}, leftOut}: relative differences, None where a form's are not
    finite, and the share of channels left out of the gradient's because rounding may decide a maximum of
    their group."""
    x = case.inputs[0]
    exact = Exact(case, x.detach().cpu())
    result = {'leftOut': 1 - exact.clear.double().mean().item()}
    for name, form in forms.items():
        loss, gradient = case.step(form, x)
        expected_loss, expected = exact.of(slices if name.split()[-1] in SPLITS_TIES else pool)
        apart = ((gradient.detach().cpu().double() - expected).abs().amax((2, 3)) * exact.clear).max()
        errors = (abs(loss.item() / expected_loss - 1), (apart / expected.abs().max()).item())
        limits = tolerance(case.dtype, name)
        result[name] = {
            'loss': finite(loss.item()), 'lossError': finite(errors[0]), 'gradientError': finite(errors[1]),
            'ok': result['leftOut'] <= 0.01 and all(math.isfinite(e) and e <= l for e, l in zip(errors, limits)),
        }
    return result


def finite(value):
    return value if math.isfinite(value) else None


def tolerance(dtype, name):
    """(loss, gradient). In bfloat16 our gradient is one rounding away from the exact one; PyTorch's
    forms round the softmax itself, so their maxima fall elsewhere and only the loss is held."""
    if dtype == torch.float32:
        return 2e-6, 2e-6
    return (1e-5, 2**-8) if name in ('ours', 'reference') else (2e-2, float('inf'))


class Exact:
    """Loss and gradient in float64 of the stored values, with either rule for ties."""

    def __init__(self, case, features):
        self.case, self.known = case, {}
        self.x = features.double().contiguous().requires_grad_()
        self.clear = clear_channels(self.x.detach(), case.classes)

    def of(self, maxima):
        if maxima not in self.known:
            case = self.case
            loss = mc_loss(self.x, case.target.cpu(), case.mask.cpu().double(), case.classes, case.alpha,
                           case.beta, maxima)
            self.known[maxima] = loss.item(), torch.autograd.grad(loss, self.x)[0]
        return self.known[maxima]


def clear_channels(x, classes):
    """[N, C]: false for a class where at some position the second largest softmax nearly ties with
    the largest."""
    soft, parts, begin = x.flatten(2).softmax(2), [], 0
    for k, xi in group_sizes(x.shape[1], classes):
        grouped = soft[:, begin:begin + k * xi].unflatten(1, (k, xi))
        best = grouped.topk(min(2, xi), 2).values
        gap = (best[:, :, 0] - best[:, :, -1]) / best[:, :, 0]
        near = ((gap > 0) & (gap < NEAR_TIE)).any(2)
        parts.append(~near.repeat_interleave(xi, 1))
        begin += k * xi
    return torch.cat(parts, 1)
