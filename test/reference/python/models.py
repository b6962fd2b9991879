"""The models in PyTorch modules, laid out and named as torchvision's (its four models are the four
backbones with head `torchvision`), with the widened forms and the heads of docs/mc-loss.md. Weights
come from formula.fill or a state dict."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

import philox

RESNETS = {'resnet18': (1, [2, 2, 2, 2]), 'resnet50': (4, [3, 4, 6, 3])}
VGG16 = [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512]


class BasicBlock(nn.Module):
    def __init__(self, channels_in, inner, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = downsample(channels_in, out, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    def __init__(self, channels_in, inner, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = downsample(channels_in, out, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (self.downsample(x) if self.downsample else x))


def downsample(channels_in, out, stride):
    if stride == 1 and channels_in == out:
        return None
    conv = nn.Conv2d(channels_in, out, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def resnet(name, widened):
    """[(name, module)] up to the feature map, and its channels."""
    expansion, counts = RESNETS[name]
    block = BasicBlock if expansion == 1 else Bottleneck
    parts = [
        ('conv1', nn.Conv2d(3, 64, 7, 2, 3, bias=False)),
        ('bn1', nn.BatchNorm2d(64)),
        ('relu', nn.ReLU()),
        ('maxpool', nn.MaxPool2d(3, 2, 1)),
    ]
    channels = 64
    for i, count in enumerate(counts):
        inner, stride = 64 * 2**i, 1 if i == 0 else 2
        out = inner * expansion
        if i == 3 and widened:
            inner, out, stride = -(-widened // expansion), widened, 1
        blocks = []
        for j in range(count):
            blocks.append(block(channels, inner, out, stride if j == 0 else 1))
            channels = out
        parts.append((f'layer{i + 1}', nn.Sequential(*blocks)))
    return parts, channels


def vgg(name, widened):
    """[('features', module)] up to the last ReLU, and its channels."""
    if name == 'toy':
        widths = [8, 'M', 16, 'M', widened or 32]
    elif name == 'vgg-small':
        widths = [16, 'M', 32, 'M', 64, 64, 'M', 96, widened]
    else:
        widths = list(VGG16)
        if widened:
            widths[12] = widths[16] = widened
    layers, channels = [], 3
    for width in widths:
        if width == 'M':
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, 1, 1, bias=name in ('vgg16', 'vgg16_bn')))
        if name != 'vgg16':
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        channels = width
    return [('features', nn.Sequential(*layers))], channels


class PhiloxDropout(nn.Module):
    """Dropout 0.5; `at` = (seed, step, first sample) is set before a step."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.at = layer, None

    def forward(self, x):
        if not self.training:
            return x
        return x * philox.half_dropout(x.shape, self.layer, *self.at).to(x)


def triangle(matrices, off=1.0):
    """[N, C, C] -> [N, C (C + 1) / 2], off the diagonal times `off`."""
    row, column = torch.triu_indices(matrices.shape[1], matrices.shape[1])
    scale = matrices.new_full(row.shape, off).masked_fill_(row == column, 1)
    return matrices[:, row, column] * scale


class BilinearPooling(nn.Module):
    """B-CNN's vector of all pairs of channels [N, C, C], or as its triangle."""

    def forward(self, features, whole=False):
        x = features.flatten(2)
        products = x @ x.transpose(1, 2) / x.shape[2]
        signed = (F.relu(products) + 1e-5).sqrt() - (F.relu(-products) + 1e-5).sqrt()
        unit = F.normalize(signed.flatten(1)).view_as(products)
        return unit if whole else triangle(unit, 2**0.5)


class IsqrtPooling(nn.Module):
    """iSQRT-COV with the authors' order of the five steps."""

    def forward(self, features):
        x = features.flatten(2)
        x = x - x.mean(2, keepdim=True)
        covariance = x @ x.transpose(1, 2) / x.shape[2]
        trace = covariance.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        three = 3 * torch.eye(x.shape[1]).to(x)
        a = covariance / trace
        z = (three - a) / 2
        y = a @ z
        for _ in range(3):
            step = (three - z @ y) / 2
            y, z = y @ step, step @ z
        return triangle(y @ (three - z @ y) / 2 * trace.sqrt())


def bilinear(channels, classes, last, reduction, pooling):
    layers, width = OrderedDict(), reduction or channels
    if reduction:
        layers['reduction'] = nn.Conv2d(channels, reduction, 1, bias=False)
        layers.update(norm=nn.BatchNorm2d(reduction), relu=nn.ReLU())
    layers['pool'] = {'sum': BilinearPooling, 'isqrt': IsqrtPooling}[pooling]()
    layers['fc'] = last(width * (width + 1) // 2, classes)
    return [], [('head', nn.Sequential(layers))]


def head(name, backbone, channels, classes, last, reduction, pooling):
    """(name, module): features [N, C, H, W] -> logits [N, K]. last: (width, classes) -> a module;
    reduction and pooling are of the bilinear head."""
    if name == 'bilinear':
        return bilinear(channels, classes, last, reduction, pooling)
    is_resnet, is_vgg16 = backbone in RESNETS, backbone in ('vgg16', 'vgg16_bn')
    average = [('pool', nn.AdaptiveAvgPool2d(1)), ('flatten', nn.Flatten())]
    if name == 'linear':
        return average, [('head', nn.Sequential(OrderedDict(fc=last(channels, classes))))]
    if name == 'torchvision' and is_resnet:
        return average, [('fc', last(channels, classes))]
    if name == 'torchvision' and is_vgg16:
        pools = [('last', nn.MaxPool2d(2)), ('avgpool', nn.AdaptiveAvgPool2d(7))]
        classifier = nn.Sequential(
            nn.Linear(channels * 49, 4096), nn.ReLU(), PhiloxDropout(0),
            nn.Linear(4096, 4096), nn.ReLU(), PhiloxDropout(1), last(4096, classes),
        )  # fmt: skip
        return [*pools, ('flatten', nn.Flatten())], [('classifier', classifier)]
    assert name == 'two-layer', name
    side = 7 if is_vgg16 else 1
    width, hidden = channels * side * side, {'toy': 32, 'vgg-small': 128}.get(backbone, 512)
    layers = OrderedDict(
        norm1=nn.BatchNorm1d(width), fc1=nn.Linear(width, hidden), norm2=nn.BatchNorm1d(hidden),
        elu=nn.ELU(), fc2=last(hidden, classes),
    )  # fmt: skip
    pools = [('pool', nn.AdaptiveMaxPool2d(side)), ('flatten', nn.Flatten())]
    return pools, [('head', nn.Sequential(layers))]


class Classifier(nn.Module):
    """forward(x [N, 3, h, w]) -> (feature map [N, C, H, W], logits [N, K])."""

    def __init__(
        self, backbone, head_name, classes, channels_per_class=0, last=nn.Linear, reduction=0,
        pooling='sum',
    ):  # fmt: skip
        super().__init__()
        make = resnet if backbone in RESNETS else vgg
        self.trunk, channels = make(backbone, classes * channels_per_class)
        pools, layers = head(
            head_name, backbone, channels, classes, last, reduction, pooling
        )  # fmt: skip
        self.top = pools + layers
        for name, module in self.trunk + layers:
            self.add_module(name, module)

    def forward(self, x):
        for _, module in self.trunk:
            x = module(x)
        y = x
        for _, module in self.top:
            y = module(y)
        return x, y

    def head_parameters(self):
        tops = ('head', 'fc', 'classifier')
        return [p for name, p in self.named_parameters() if name.split('.')[0] in tops]

    def backbone_parameters(self):
        owned = {id(p) for p in self.head_parameters()}
        return [p for p in self.parameters() if id(p) not in owned]


def normalise(images, windows, crop, mean, std):
    """u8 [N, H, W, 3] cut at windows (zeros outside), mirrored where asked -> f64 [N, 3, h, w]."""
    height, width = crop
    padded = F.pad(torch.from_numpy(images).permute(0, 3, 1, 2), (width, width, height, height))
    cuts = []
    for image, (top, left, flip) in zip(padded, windows.tolist()):
        cut = image[:, height + top : 2 * height + top, width + left : 2 * width + left]
        cuts.append(cut.flip(2) if flip else cut)
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return (torch.stack(cuts).double() / 255 - mean) / std
