"""The losses that are not cross entropy or the MC-Loss, in PyTorch, from their papers' formulas, and
the last layers they need. docs/losses.md has the formulas."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Cosine(nn.Module):
    """scale * cos(x, W_k); the scale 'norm' is |x|."""

    def __init__(self, width, classes, scale):
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.empty(classes, width)), scale

    def forward(self, x):
        cosines = F.normalize(x) @ F.normalize(self.weight).T
        return cosines * (x.norm(dim=1, keepdim=True) if self.scale == 'norm' else self.scale)


class Distance(nn.Module):
    """-|x - mu_k|^2 / 2"""

    def __init__(self, width, classes):
        super().__init__()
        self.means = nn.Parameter(torch.empty(classes, width))

    def forward(self, x):
        return -(x[:, None] - self.means).square().sum(2) / 2


def last_layer(classifier):
    """(width, classes) -> the module."""
    if classifier['kind'] == 'cosine':
        return lambda width, classes: Cosine(width, classes, classifier['scale'])
    return Distance if classifier['kind'] == 'distance' else nn.Linear


def psi(theta, m):
    k = torch.floor(m * theta / math.pi).clamp(max=m - 1).detach()
    return (1 - 2 * (k % 2)) * torch.cos(m * theta) - 2 * k


def with_margin(loss, x, z, scalar):
    """The label's logit z [N]."""
    if loss['name'] == 'lmcl':
        return z - loss['scale'] * loss['margin']
    if loss['name'] == 'lgm':
        return z * (1 + scalar)
    if loss['name'] == 'arcface':
        s, m = loss['scale'], loss['margin']
        theta = torch.acos(z / s)
        return torch.where(
            theta + m <= math.pi, s * torch.cos(theta + m), z - s * m * math.sin(m)
        )
    if loss['name'] == 'a-softmax':
        length = x.norm(dim=1)
        margined = length * psi(torch.acos(z / length), loss['margin'])
        return (scalar * z + margined) / (1 + scalar)
    return z


class Losses:
    """A loss, and its centres if it has them."""

    def __init__(self, loss, classes):
        self.loss, self.classes = loss, classes
        self.centres, self.seen = None, []

    def parts(self, x, logits, target, scalar):
        """{'loss', ..}: scalars, means over the samples given."""
        loss, name = self.loss, self.loss['name']
        rows = torch.arange(len(target))
        z = logits[rows, target]
        training = logits.clone()
        training[rows, target] = with_margin(loss, x, z, scalar)
        ce = F.cross_entropy(training, target, label_smoothing=loss.get('labelSmoothing', 0))
        log_p = F.log_softmax(training, 1)
        if name == 'cross-entropy':
            return {'loss': ce, 'ce': ce}
        if name == 'focal':
            log = log_p[rows, target]
            focal = ((1 - log.exp()) ** loss['gamma'] * -log).mean()
            return {'loss': focal, 'focal': focal}
        if name == 'max-entropy':
            entropy = -(log_p.exp() * log_p).sum(1).mean()
            return {'loss': ce - loss['gamma'] * entropy, 'ce': ce, 'entropy': entropy}
        if name == 'cosine-loss':
            cosine = (1 - z / logits.norm(dim=1)).mean()
            return {'loss': cosine, 'cosine': cosine}
        if name == 'lgm':
            lkd = -z.mean()
            return {'loss': ce + loss['lambda'] * lkd, 'cls': ce, 'lkd': lkd}
        if name == 'center':
            if self.centres is None:
                self.centres = x.new_zeros(self.classes, x.shape[1])
            self.seen.append((x.detach(), target))
            center = (x - self.centres[target]).square().sum(1).mean() / 2
            return {'loss': ce + loss['weight'] * center, 'ce': ce, 'center': center}
        return {'loss': ce, name: ce}

    def after_step(self):
        if not self.seen:
            return
        x, target = (torch.cat(parts) for parts in zip(*self.seen))
        self.seen = []
        for j in range(self.classes):
            away = self.centres[j] - x[target == j]
            delta = away.sum(0) / (1 + len(away))
            self.centres[j] -= self.loss['centerRate'] * delta
