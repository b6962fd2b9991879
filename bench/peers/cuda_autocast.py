"""torch.autocast("cuda", torch.bfloat16) for meta tensors, which have no autocast: the rules for the
functions that these models call, as AT_FORALL_LOWER_PRECISION_FP, AT_FORALL_FP32 and
AT_FORALL_FP32_SET_OPT_DTYPE of ATen/autocast_mode.h list them. A parameter is cast once."""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class CudaAutocast(TorchFunctionMode):
    LOWER = (torch.conv2d, F.linear)
    WIDER = (F.cross_entropy, torch.Tensor.softmax, torch.Tensor.sum)

    def __init__(self):
        super().__init__()
        self.cast = {}

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        if function in self.LOWER:
            arguments = [self.lowered(value) for value in arguments]
        elif function in self.WIDER:
            arguments = [widened(value) for value in arguments]
        return function(*arguments, **(keywords or {}))

    def lowered(self, value):
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(torch.bfloat16)
        if id(value) not in self.cast:
            self.cast[id(value)] = value.to(torch.bfloat16)
        return self.cast[id(value)]


def widened(value):
    half = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    return value.float() if half else value
