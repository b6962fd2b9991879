"""The step of native/train/step/trainer.cpp (update) on meta tensors, with the operators of
libmcloss_ops.so: ResNet, cross entropy or MC-Loss, one micro-batch. bench/step-count.mjs holds its operators
against those of a step that native took.
"""

import torch
import torch.nn.functional as F
from torch import nn

from cuda_autocast import CudaAutocast
from peer_models import build


class NativeStep:
    def __init__(self, asked):
        torch.ops.load_library(asked["library"])
        self.loss, self.optim, self.size = asked["loss"], asked["optim"], asked["size"]
        self.count, self.classes = asked["batch"], asked["model"]["numClasses"]
        self.model = build(asked["model"]).to(memory_format=torch.channels_last).train()
        head = getattr(self.model, self.model.head_name)
        of_head = {id(parameter) for parameter in head.parameters()}
        self.parameters = list(self.model.parameters())
        # native/train/step/optimizer.cpp: backbone and head, all with decay.
        self.groups = [[p for p in self.parameters if (id(p) in of_head) == part]
                       for part in (False, True)]
        self.velocities = [[torch.empty_like(p) for p in group] for group in self.groups]
        self.rates = [torch.empty(()) for group in self.groups]
        # native/train/step/running_buffers.cpp: float32 and int64, each in one piece.
        buffers = list(self.model.buffers())
        sizes = [sum(b.numel() for b in buffers if b.is_floating_point() == kind)
                 for kind in (True, False)]
        self.flat = [torch.empty(sizes[0]), torch.empty(sizes[1], dtype=torch.long)]
        self.saved = [torch.empty_like(flat) for flat in self.flat]
        # native/models/weight_casts.h: of the layers that autocast would cast.
        layers = [m for m in self.model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        of_layers = [(m, name, p) for m in layers for name, p in m.named_parameters(recurse=False)]
        self.cast_names = [(m, name) for m, name, _ in of_layers]
        self.cast_parameters = [p for _, _, p in of_layers]
        self.casts = [torch.empty_like(p, dtype=torch.bfloat16, requires_grad=False)
                      for p in self.cast_parameters]
        side = -(-self.size * 8 // 7)
        self.pixels = torch.empty(self.count, side, side, 3, dtype=torch.uint8)
        self.windows = torch.empty(self.count, 3, dtype=torch.int32)
        self.labels = torch.empty(self.count, dtype=torch.int32)
        self.scalar, self.seed_step = torch.empty(()), torch.empty(2, dtype=torch.long)
        self.sums = torch.empty(8 if self.loss["name"] == "mc" else 6, dtype=torch.double)
        self.step_sums = torch.empty_like(self.sums)

    def __call__(self):
        target = self.input_and_settings()
        for parameter in self.parameters:
            parameter.grad = None
        for saved, flat in zip(self.saved, self.flat):
            saved.copy_(flat)
        used = {}
        for (layer, name), cast in zip(
                self.cast_names, Casts.apply(self.casts, *self.cast_parameters)):
            used[layer, name] = cast
        with CudaAutocast():
            features, logits = Forward(self.model, used)(self.x)
            logits = logits.float()
            loss, parts = self.loss_of(features, logits, target)
        loss.backward()
        self.flat[1].add_(1)
        with torch.no_grad():
            torch.ops.mcloss.add_batch_sums_(self.step_sums, logits, target, [loss, *parts], True)
            self.finish()

    def input_and_settings(self):
        """native/train/step/batch_input.cpp, and what Trainer::Impl::step writes for the device."""
        self.x = torch.ops.mcloss.gather_augment(
            self.pixels, None, self.windows, None, self.size, self.size, [0.5] * 3, [0.5] * 3,
            torch.bfloat16, None)
        for setting in (*self.rates, self.scalar):
            setting.fill_(0)
        self.seed_step.select(0, 0).fill_(0)
        self.seed_step.select(0, 1).fill_(0)
        return self.labels.long()

    def loss_of(self, features, logits, target):
        ce = F.cross_entropy(logits, target)
        if self.loss["name"] != "mc":
            return ce, [ce]
        mask = torch.empty(1, features.shape[1], dtype=torch.bool)
        torch.ops.mcloss.draw_cwa_mask_(mask, self.classes, 0, 0, self.seed_step, 0)
        loss, dis, div, _, _ = torch.ops.mcloss.mc_loss(
            features, target, mask.squeeze(0), self.classes, self.loss["alpha"], 0.0,
            self.loss["beta"])
        return ce + loss, [ce, dis, div]

    def finish(self):
        """The norm of the gradient, the update where it is finite, and the sums of the step."""
        gradients = [[parameter.grad for parameter in group] for group in self.groups]
        norms = [norm for group in gradients for norm in torch._foreach_norm(group)]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        skip, found_inf = torch.ops.mcloss.add_step_sums_(self.sums, self.step_sums, norm)
        for group, grads, velocities, rate in zip(
                self.groups, gradients, self.velocities, self.rates):
            torch._fused_sgd_(
                group, grads, velocities, weight_decay=self.optim["weightDecay"],
                momentum=self.optim["momentum"], lr=rate, dampening=0, nesterov=False,
                maximize=False, is_first_step=False, found_inf=found_inf)
        for saved, flat in zip(self.saved, self.flat):
            torch.where(skip, saved, flat, out=flat)


class Casts(torch.autograd.Function):
    """native/models/weight_casts.cpp."""

    @staticmethod
    def forward(context, casts, *parameters):
        torch._foreach_copy_(casts, parameters)
        return tuple(cast.detach() for cast in casts)

    @staticmethod
    def backward(context, *gradients):
        wide = [torch.empty_like(gradient, dtype=torch.float32) for gradient in gradients]
        torch._foreach_copy_(wide, gradients)
        return None, *wide


class Forward:
    """native/models/resnet.cpp and heads.cpp. used: the casts by (layer, name of the parameter)."""

    def __init__(self, model, used):
        self.model, self.used = model, used

    def conv(self, layer, x):
        return torch.conv2d(x, self.used[layer, "weight"], None, layer.stride, layer.padding)

    def linear(self, layer, x):
        return F.linear(x, self.used[layer, "weight"], self.used[layer, "bias"])

    def __call__(self, x):
        model = self.model
        y = norm(model.bn1, self.conv(model.conv1, x))
        y = F.max_pool2d(y, 3, 2, 1)
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            for block in stage:
                y = self.block(block, y)
        return y, self.head(y)

    def block(self, block, x):
        y = x
        for number in range(1, block.length):
            y = norm(getattr(block, f"bn{number}"), self.conv(getattr(block, f"conv{number}"), y))
        last = block.length
        y = self.conv(getattr(block, f"conv{last}"), y)
        if block.downsample is not None:
            conv, after = block.downsample
            x = norm(after, self.conv(conv, x), relu=False)
        return norm(getattr(block, f"bn{last}"), y, residual=x)

    def head(self, features):
        head = getattr(self.model, self.model.head_name)
        if self.model.head_name == "fc":
            return self.linear(head, features.mean((2, 3)))
        x = F.max_pool2d(features, [side // head.pool for side in features.shape[2:]]).flatten(1)
        x = norm(head.norm1, x, relu=False)
        x = self.linear(head.fc1, x)
        x = F.elu(norm(head.norm2, x, relu=False))
        return self.linear(head.fc2, x)


def norm(layer, x, relu=True, residual=None):
    return torch.ops.mcloss.batch_norm_act(
        x, residual, layer.weight, layer.bias, layer.running_mean, layer.running_var, True, 0.1,
        1e-5, relu)
