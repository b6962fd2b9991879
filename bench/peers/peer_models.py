"""The models of native/models in PyTorch, with the same names: what the peers of the benchmarks train.

build(config) takes the `model` record of NativeTrainer.create; forward(x) -> (features, logits).
`dropout` {seed, step} draws native's dropout masks; without it they are PyTorch's own.
"""

import numpy
import torch
import torch.nn.functional as F
from torch import nn

POOL = "pool"
DROPOUT_STREAM = 4  # native/ops/kernel/philox.h


def conv(inner, out, kernel, stride=1, bias=False):
    layer = nn.Conv2d(inner, out, kernel, stride, kernel // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Backbone(nn.Module):
    """A feature extractor that carries its head under the head's own name."""

    def attach(self, name, head):
        self.head_name = name
        setattr(self, name, head)

    def forward(self, x, dropout=None):
        features = self.features_of(x)
        return features, getattr(self, self.head_name)(features, dropout)


class Block(nn.Module):
    def __init__(self, bottleneck, inner, width, out, stride):
        super().__init__()
        plan = ([(inner, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)] if bottleneck
                else [(inner, width, 3, stride), (width, out, 3, 1)])
        for number, shape in enumerate(plan, 1):
            setattr(self, f"conv{number}", conv(*shape))
            setattr(self, f"bn{number}", nn.BatchNorm2d(shape[1]))
        self.length = len(plan)
        self.downsample = None
        if stride != 1 or inner != out:
            self.downsample = nn.Sequential(conv(inner, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for number in range(1, self.length + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            if number < self.length:
                y = F.relu_(y)
        y += x if self.downsample is None else self.downsample(x)
        return F.relu_(y)


class Resnet(Backbone):
    def __init__(self, bottleneck, last_width):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        inner = 64
        for stage, blocks in enumerate((3, 4, 6, 3) if bottleneck else (2, 2, 2, 2)):
            width = 64 << stage
            out, stride = width * (4 if bottleneck else 1), 1 if stage == 0 else 2
            if stage == 3 and last_width:
                out, stride = last_width, 1
                width = (last_width + 3) // 4 if bottleneck else last_width
            layer = nn.Sequential()
            for i in range(blocks):
                layer.append(Block(bottleneck, inner, width, out, stride if i == 0 else 1))
                inner = out
            setattr(self, f"layer{stage + 1}", layer)
        self.channels = inner

    def features_of(self, x):
        x = F.max_pool2d(F.relu_(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Vgg(Backbone):
    def __init__(self, widths, batch_norm, bias):
        super().__init__()
        layers, inner = [], 3
        for width in widths:
            if width == POOL:
                layers.append(nn.MaxPool2d(2))
                continue
            layers.append(conv(inner, width, 3, bias=bias))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            inner = width
        self.features = nn.Sequential(*layers)
        self.channels = inner

    def features_of(self, x):
        return self.features(x)


def dropout_scale(n, d, layer, draw):
    """[n, d] of 0 and 2: the top bit of Philox4x32-10 word layer * d + j of each sample."""
    draws = layer * d + numpy.arange(d, dtype=numpy.uint64)
    sample = numpy.repeat(numpy.arange(n, dtype=numpy.uint64), d)
    low = numpy.uint64(0xFFFFFFFF)
    counter = [numpy.full(n * d, draw["step"], numpy.uint64), sample, numpy.tile(draws >> 2, n),
               numpy.full(n * d, DROPOUT_STREAM, numpy.uint64)]
    key = [draw["seed"] & 0xFFFFFFFF, draw["seed"] >> 32]
    for _ in range(10):
        first, second = (numpy.uint64(0xD2511F53) * counter[0], numpy.uint64(0xCD9E8D57) * counter[2])
        counter = [(second >> 32) ^ counter[1] ^ numpy.uint64(key[0]), second & low,
                   (first >> 32) ^ counter[3] ^ numpy.uint64(key[1]), first & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    words = numpy.choose(numpy.tile(draws & 3, n).astype(numpy.int64), counter)
    return torch.from_numpy((words >> 31).astype(numpy.float32) * 2).view(n, d)


class GlobalLinear(nn.Linear):
    """On the mean over positions."""

    def forward(self, features, dropout):
        return super().forward(features.mean((2, 3)))


class VggHead(nn.Sequential):
    """torchvision's classifier, with the backbone's last pool in front."""

    def __init__(self, channels, classes):
        super().__init__(
            nn.Linear(channels * 49, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, classes))
        for layer in (self[0], self[3], self[6]):
            nn.init.normal_(layer.weight, 0, 0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features, dropout):
        x = F.adaptive_avg_pool2d(F.max_pool2d(features, 2), 7).flatten(1)
        if dropout is None:
            return super().forward(x)
        for layer, i in enumerate((0, 3)):
            x = self[i + 1](self[i](x))
            x = x * dropout_scale(*x.shape, layer, dropout).to(x)
        return self[6](x)


class TwoLayer(nn.Module):
    """The authors' head: max-pool, BN, linear, BN, ELU, linear."""

    def __init__(self, channels, pool, hidden, classes):
        super().__init__()
        self.pool, inner = pool, channels * pool * pool
        self.norm1, self.fc1 = nn.BatchNorm1d(inner), nn.Linear(inner, hidden)
        self.norm2, self.fc2 = nn.BatchNorm1d(hidden), nn.Linear(hidden, classes)

    def forward(self, features, dropout):
        x = F.adaptive_max_pool2d(features, self.pool).flatten(1)
        return self.fc2(F.elu(self.norm2(self.fc1(self.norm1(x)))))


class Bilinear(nn.Module):
    """B-CNN in the common form: the whole matrix, flattened. The root is 0 at 0, as native's."""

    def __init__(self, channels, classes):
        super().__init__()
        self.fc = nn.Linear(channels * channels, classes)

    def forward(self, features, dropout):
        count, channels, height, width = features.shape
        x = features.reshape(count, channels, height * width)
        x = torch.bmm(x, x.transpose(1, 2)) / (height * width)
        x = torch.sqrt(x.view(count, -1) + 1e-5) - 1e-5 ** 0.5
        return self.fc(F.normalize(x))


def build(config):
    name, classes = config["backbone"], config["numClasses"]
    widened = classes * config["channelsPerClass"]
    if name.startswith("resnet"):
        model = Resnet(name == "resnet50", widened)
    elif name == "vgg-small":
        model = Vgg([16, POOL, 32, POOL, 64, 64, POOL, 96, widened], True, False)
    elif name == "toy":
        model = Vgg([8, POOL, 16, POOL, widened or 32], True, False)
    else:
        last = widened or 512
        model = Vgg([64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, last, POOL, 512,
                     512, last], name == "vgg16_bn", True)
    if config["head"] == "two-layer":
        pool = 7 if name.startswith("vgg16") else 1
        hidden = {"toy": 32, "vgg-small": 128}.get(name, 512)
        model.attach("head", TwoLayer(model.channels, pool, hidden, classes))
    elif config["head"] == "torchvision" and name.startswith("resnet"):
        model.attach("fc", GlobalLinear(model.channels, classes))
    elif config["head"] == "torchvision":
        model.attach("classifier", VggHead(model.channels, classes))
    elif config["head"] == "bilinear":
        model.attach("head", Bilinear(model.channels, classes))
    else:
        raise ValueError(f"the peer has no head {config['head']} for {name}")
    return model
