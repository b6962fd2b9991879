"""Values and gradients of pytorch-metric-learning's losses in float64. Reads a list of
{name, options, x, rows, target} as JSON, writes a list of {loss, gradEmbedding, gradWeight}."""

import json
import math
import sys

import torch
from pytorch_metric_learning import losses

MADE_OF = {
    'a-softmax': lambda o: (losses.SphereFaceLoss, {'margin': o['margin'], 'scale': 1}),
    'coco': lambda o: (losses.NormalizedSoftmaxLoss, {'temperature': 1 / o['scale']}),
    'lmcl': lambda o: (losses.CosFaceLoss, {'margin': o['margin'], 'scale': o['scale']}),
    'arcface': lambda o: (
        losses.ArcFaceLoss,
        {'margin': math.degrees(o['margin']), 'scale': o['scale']},
    ),
}


def run(case):
    x = torch.tensor(case['x'], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor(case['rows'], dtype=torch.float64)
    make, options = MADE_OF[case['name']](case['options'])
    loss = make(num_classes=rows.shape[0], embedding_size=rows.shape[1], **options)
    loss.W = torch.nn.Parameter(rows.T.contiguous())
    value = loss(x, torch.tensor(case['target']))
    value.backward()
    return {
        'loss': value.item(),
        'gradEmbedding': x.grad.flatten().tolist(),
        'gradWeight': loss.W.grad.T.flatten().tolist(),
    }


print(json.dumps([run(case) for case in json.load(sys.stdin)]))
