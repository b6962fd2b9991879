"""The training step in PyTorch, as native/train/step/trainer.cpp is described: crop, forward, loss,
gradient of the mean over the whole batch, SGD. run(case) gives the StepStats expected, by step."""

import torch
from torch.nn import functional as F

import formula
import losses
import models
import philox


def mc_terms(features, target, classes, mask):
    """(L_dis, L_div, mean of h / xi) of docs/mc-loss.md."""
    maps = features.flatten(2)
    owners = philox.groups(features.shape[1], classes)
    attended = maps * mask.to(maps)[..., None]
    soft = maps.softmax(2)
    g = torch.stack([attended[:, b:e].max(1).values.mean(1) for b, e in owners], 1)
    h = torch.stack([soft[:, b:e].max(1).values.sum(1) for b, e in owners], 1)
    xi = torch.tensor([e - b for b, e in owners])
    return F.cross_entropy(g, target), h.mean(), (h / xi).mean()


def loss_parts(loss, features, logits, target, seed, step, first):
    """{'loss', 'ce', and for mc 'dis', 'div'}: scalars, means over the samples given."""
    ce = F.cross_entropy(logits, target)
    if loss['name'] == 'cross-entropy':
        return {'loss': ce, 'ce': ce}
    channels, classes = features.shape[1], logits.shape[1]
    mask = philox.cwa_mask(
        channels, classes, loss['keep'], loss['maskScope'], seed, step, len(target), first
    )
    dis, div, share = mc_terms(features, target, classes, mask)
    if loss['form'] == 'paper':
        mc = loss['mu'] * (dis - loss['lambda'] * div)
    else:
        mc = loss['alpha'] * dis + loss['beta'] * (1 - share)
    return {'loss': ce + mc, 'ce': ce, 'dis': dis, 'div': div}


def optimizer_of(model, optim):
    groups = []
    for parameters, scale in (
        (model.backbone_parameters(), 1), (model.head_parameters(), optim['headLrScale'])
    ):  # fmt: skip
        for parameter in parameters:
            decays = optim.get('decayNormAndBias', True) or parameter.dim() > 1
            decay = optim['weightDecay'] if decays else 0
            groups.append({'params': [parameter], 'scale': scale, 'weight_decay': decay})
    if optim.get('name') == 'adamw':
        return torch.optim.AdamW(groups, lr=0, betas=optim['betas'], eps=optim['eps'])
    return torch.optim.SGD(
        groups, lr=0, momentum=optim['momentum'], nesterov=optim['nesterov']
    )  # fmt: skip


def train_step(
    model, optimizer, config, frozen, x, target, seed, step, lr, micro_batch, own, scalar
):  # fmt: skip
    """One step on x [N, 3, h, w]. Returns sums over samples, `correct`, the gradient's norm. own: the
    Losses of a loss that is not in this file."""
    loss = config['loss']
    model.train()
    if frozen or config['model'].get('freezeBatchNorm'):
        for _, module in model.trunk:
            module.eval()
    for parameter in model.backbone_parameters():
        parameter.requires_grad_(not frozen)
    optimizer.zero_grad()
    sums = {}
    for first in range(0, len(x), micro_batch):
        part, labels = x[first : first + micro_batch], target[first : first + micro_batch]
        for module in model.modules():
            if isinstance(module, models.PhiloxDropout):
                module.at = (seed, step, first)
        features, logits = model(part)
        if own:
            values = own.parts(model.embedding, logits, labels, scalar)
        else:
            values = loss_parts(loss, features, logits, labels, seed, step, first)
        (values['loss'] * (len(part) / len(x))).backward()
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + value.item() * len(part)
        correct = (logits.argmax(1) == labels).sum().item()
        sums['correct'] = sums.get('correct', 0) + correct
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norms = [gradient.norm(dtype=torch.float64) for gradient in gradients]
    sums['gradNorm'] = torch.stack(norms).norm().item()
    if 'clipGradNorm' in config['optim']:
        torch.nn.utils.clip_grad_norm_(model.parameters(), config['optim']['clipGradNorm'])
    for group in optimizer.param_groups:
        group['lr'] = lr * group['scale']
    optimizer.step()
    if own:
        own.after_step()
    return sums


def keep_embedding(model):
    """model.embedding: the input of the last layer, from the forward pass on."""
    kinds = (torch.nn.Linear, losses.Cosine, losses.Distance)
    last = [module for module in model.modules() if isinstance(module, kinds)][-1]
    last.register_forward_pre_hook(lambda _, inputs: setattr(model, 'embedding', inputs[0]))


def run(case, dtype):
    """case: a line of fixtures/steps/steps.jsonl. One record a step, from formula weights on."""
    config, batch = case['config'], case['batch']
    model_config = config['model']
    model = models.Classifier(
        model_config['backbone'], model_config['head'], model_config['numClasses'],
        model_config['channelsPerClass'],
        last=losses.last_layer(model_config.get('classifier', {'kind': 'linear'})),
    )  # fmt: skip
    keep_embedding(model)
    formula.fill(model)
    model = model.to(dtype)
    optimizer = optimizer_of(model, config['optim'])
    crop = (model_config['input']['height'], model_config['input']['width'])
    image = (batch['height'], batch['width'])
    count = batch['count']
    images = formula.pixels(count, *image)
    target = torch.arange(count) % model_config['numClasses']
    scalars = case.get('scalar', [0] * len(case['lr']))
    own = 'scalar' in case and losses.Losses(config['loss'], model_config['numClasses'])
    records = []
    for step, lr in enumerate(case['lr']):
        windows = formula.windows(step, count, image, crop, batch['padding'])
        x = models.normalise(images, windows, crop, config['mean'], config['std']).to(dtype)
        records.append(
            train_step(
                model, optimizer, config, step < case.get('frozenSteps', 0), x, target,
                case['seed'], step, lr, case['microBatch'] or count, own,
                scalars[step],
            )  # fmt: skip
        )
    return records
