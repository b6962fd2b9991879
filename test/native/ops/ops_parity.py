"""Holds torch.ops.mcloss.* against the formulas of docs/mc-loss.md written in torch, forward and
backward, on the CPU and on a GPU where torch sees one. Run: python ops_parity.py
<libmcloss_ops.so>, with the torch the library was built against. The last line is the number of
checks; the first that does not hold ends it with code 1.
"""

import sys
from itertools import product
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, pad

sys.path.insert(0, str(Path(__file__).parents[2] / 'reference' / 'python'))
import philox  # noqa: E402

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1.6e-2, torch.float16: 2e-3}
SHAPES = [  # N, C, H, W, classes
    (3, 9, 4, 4, 3),
    (2, 14, 3, 5, 4),
    (2, 13, 7, 2, 5),
    (2, 5, 3, 3, 1),
    (4, 4, 3, 4, 4),
    (3, 7, 1, 1, 3),
    (2, 47, 6, 7, 20),
    (2, 203, 14, 14, 20),
    (1, 300, 5, 3, 1),
    (1, 5, 29, 31, 2),
]
LAYOUTS = ('contiguous', 'channels_last', 'slice')
FORMS = (('paper', 0.7, 3.0), ('official', 1.5, 20.0))
RESULTS = ('loss', 'dis', 'div', 'class_scores', 'diversity')
checks = 0


def check(holds, what):
    global checks
    if not holds:
        sys.exit(f'FAILED {what}')
    checks += 1


def close(actual, expected, tolerance, what, scale=None):
    """Max abs difference <= tolerance * scale (None: max abs expected), in float64."""
    same = actual.shape == expected.shape
    worst = (actual.cpu().double() - expected).abs().max().item() if same else float('nan')
    allowed = tolerance * (expected.abs().max() if scale is None else scale).item()
    check(worst <= allowed, f'{what}: {worst} above {allowed}, {list(actual.shape)}')


def scores(features, mask, classes):
    """(g, h) [N, K], and [N, K]: true where rounding may decide a softmax maximum."""
    maps = features.flatten(2)
    attended = maps if mask is None else maps * mask.to(maps)[..., None]
    soft = maps.softmax(2)
    g, h, near = [], [], []
    for begin, end in philox.groups(features.shape[1], classes):
        g.append(attended[:, begin:end].max(1).values.mean(1))
        best = soft[:, begin:end].max(1, keepdim=True).values
        h.append(best.sum((1, 2)))
        gap = (best - soft[:, begin:end]) / best
        near.append(((gap > 0) & (gap < 1e-5)).flatten(1).any(1))
    return torch.stack(g, 1), torch.stack(h, 1), torch.stack(near, 1)


def results(g, h, target, channels, form, first, second):
    """RESULTS, and the sum of the magnitudes of the loss's terms."""
    xi = torch.tensor([end - begin for begin, end in philox.groups(channels, h.shape[1])]).to(h)
    dis, div = cross_entropy(g, target), h.mean()
    if form == 'paper':
        terms = first * dis, -first * second * div
    else:
        terms = first * dis, torch.tensor(second).to(h), -second * (h / xi).mean()
    return (sum(terms), dis, div, g, h), sum(term.detach().abs() for term in terms)


def mc_terms(form, first, second):
    """The operator's weights of L_dis, of L_div and of mean(1 - h / xi)."""
    return (first, -first * second, 0.0) if form == 'paper' else (first, 0.0, second)


def laid_out(features, layout):
    if layout == 'channels_last':
        return features.contiguous(memory_format=torch.channels_last)
    if layout == 'slice':
        n, c, height, width = features.shape
        larger = features.new_full((n, c + 2, height + 1, width + 3), float('nan'))
        return larger[:, 1:-1, 1:, 1:-2].copy_(features)
    return features


def compare(operator, stored, target, mask, classes, layouts, device, what):
    """RESULTS and the gradient of the loss, in both forms and the layouts; returns near ties."""
    channels = stored.shape[1]
    wide = torch.float64 if stored.dtype == torch.float64 else torch.float32
    theirs = stored.double().requires_grad_()  # the same stored values
    g, h, near = scores(theirs, mask, classes)
    sizes = [end - begin for begin, end in philox.groups(channels, classes)]
    clear = ~near.repeat_interleave(torch.tensor(sizes), 1)[..., None, None]
    others = target.to(device), None if mask is None else mask.to(device), classes
    for form, layout in product(FORMS, layouts):
        case = f'{what}, {form[0]}, {layout}'
        expected, scale = results(g, h, target, channels, *form)
        expected_grad, grad_of_h = torch.autograd.grad(expected[0], (theirs, h), retain_graph=True)
        largest = (expected_grad * clear).abs().max()
        # One channel a class: h is 1, but composed operators leave rounding of its gradient's parts
        if channels == classes and operator == torch.ops.mcloss.mc_loss_reference:
            peak = theirs.flatten(2).softmax(2).max()
            largest = largest.max(grad_of_h.abs().max() * peak)
        ours = laid_out(stored.to(device), layout).detach().requires_grad_()
        actual = operator(ours, *others, *mc_terms(*form))
        for key, one, other in zip(RESULTS, actual, expected):
            check(one.dtype == wide, f'{case}: {key} is {one.dtype}')
            scale_of = scale if key == 'loss' else None
            close(one, other, TOLERANCE[wide], f'{case}: {key}', scale_of)
        (grad,) = torch.autograd.grad(actual[0], ours)
        pair = grad.cpu() * clear, expected_grad * clear
        close(*pair, TOLERANCE[stored.dtype], f'{case}: gradient', largest)
    return near


def parity(operator, layouts, device='cpu'):
    nears = []
    for *shape, classes in SHAPES:
        n, c = shape[:2]
        target = torch.randint(classes, (n,))
        masks = {'none': None, '[C]': torch.rand(c) < 0.5, '[N, C]': torch.rand(n, c) < 0.5}
        masks['[C]'][0] = True  # some gradient is more than rounding, also where xi = 1
        for (name, mask), dtype, relu in product(masks.items(), TOLERANCE, (False, True)):
            stored = (3 * torch.rand(shape, dtype=torch.float64) - 1).to(dtype)
            stored = stored.relu() if relu else stored
            what = f'{operator} on {device}, {shape} / {classes}, mask {name}, {dtype}, relu {relu}'
            near = compare(operator, stored, target, mask, classes, layouts, device, what)
            nears.append(near.flatten())
    left_out = torch.cat(nears).double().mean().item()
    print(f'{operator} on {device}: near ties in {100 * left_out:.2f} % of the groups')
    check(left_out <= 0.01, 'near ties: at most 1 % of the groups left out')


def example(dtype=torch.float64, device='cpu'):
    """Arguments up to the weights: 2 samples, 7 channels, 3 classes."""
    features = torch.rand(2, 7, 3, 4, dtype=dtype).to(device).requires_grad_()
    mask = (torch.rand(7) < 0.5).to(device)
    return features, torch.tensor([2, 0], device=device), mask, 3


def registration():
    """Schemas, fake tensors, the autograd registration and torch.compile's tracing, as torch checks
    them."""
    operators = torch.ops.mcloss
    features, *others = example()
    arguments = features.detach(), *others, *mc_terms(*FORMS[0])
    saved = features.detach(), *operators.mc_loss_forward(*arguments)[5:]
    one = torch.ones((), dtype=torch.float64)
    mask = torch.zeros(2, 7, dtype=torch.bool)
    pixels = torch.randint(256, (3, 6, 7, 3), dtype=torch.uint8)
    rows = torch.tensor([2, 0, 1], dtype=torch.int32)
    windows, factors = torch.zeros(3, 3, dtype=torch.int32), torch.rand(3, 3)
    erased = torch.ones(3, 4, dtype=torch.int32)
    size, scaling = (4, 5), ([0.5] * 3, [0.25] * 3)
    out = torch.empty(3, 3, *size).contiguous(memory_format=torch.channels_last)
    step, logits, target = torch.zeros(6, dtype=torch.float64), torch.rand(2, 3), torch.tensor([2, 0])
    names = ('schema', 'autograd_registration', 'faketensor', 'aot_dispatch_static')
    for operator, given in (
        (operators.mc_loss, (features, *others, *mc_terms(*FORMS[0]))),
        (operators.mc_loss, (features, *others, *mc_terms(*FORMS[1]))),
        (operators.mc_loss_forward, arguments),
        (operators.mc_loss_backward, (one, None, None, None, None, *saved, 3, *mc_terms(*FORMS[0]))),
        (operators.draw_cwa_mask_, (mask, 3, 1, 2, torch.tensor([5, 6]), 0)),
        (operators.cwa_mask, (7, 3, 0.0, True, 5, 6, 2)),
        (operators.gather_augment, (pixels, None, windows, None, *size, *scaling, torch.float32)),
        (
            operators.gather_augment,
            (pixels, rows, windows, factors, *size, *scaling, torch.float16, erased),
        ),
        (operators.gather_augment_into_, (out, pixels, rows, windows, factors, *scaling, erased)),
        (operators.draw_half_dropout_, (torch.zeros(2, 7), torch.tensor([5, 6]), 0, 1)),
        (operators.add_batch_sums_, (step, logits, target, [torch.rand(()), torch.rand(())], True)),
        (operators.add_step_sums_, (torch.zeros_like(step), step, torch.rand(()))),
    ):
        utilities = [f'test_{name}' for name in names]
        torch.library.opcheck(operator.default, given, test_utils=utilities)
        check(True, f'opcheck {operator}')


def gradients():
    """torch's own gradient check: through each of the five results, and through all together."""
    weights = [torch.rand(shape, dtype=torch.float64) for shape in ((), (), (), (2, 3), (2, 3))]
    features, *others = example()
    for form in FORMS:
        each = lambda f: torch.ops.mcloss.mc_loss(f, *others, *mc_terms(*form))  # noqa: E731
        together = lambda f: sum((w * r).sum() for w, r in zip(weights, each(f)))  # noqa: E731
        for function in (each, together):
            check(torch.autograd.gradcheck(function, (features,)), f'gradcheck {form[0]}')


def refusals():
    features, target, mask, classes = example()
    for words, changed in {
        '7 channels for 9 classes': (features, target, mask, 9),
        'at least one sample': (features[:0], target[:0], mask, classes),
        'at least one sample and one position': (features[:, :, :0], target, mask, classes),
        'mask bool [C] or [N, C]': (features, target, mask[:6], classes),
        'mask bool': (features, target, mask.float(), classes),
        'a label 3': (features, torch.tensor([3, 0]), mask, classes),
        'a label -1': (features, torch.tensor([2, -1]), mask, classes),
        'target int64 [N]': (features, target.int(), mask, classes),
        'features of float64, float32': (features.int(), target, mask, classes),
    }.items():
        for operator in (torch.ops.mcloss.mc_loss, torch.ops.mcloss.mc_loss_reference):
            try:
                operator(*changed, *mc_terms(*FORMS[0]))
                check(False, f'{operator} takes what should be refused with: {words}')
            except RuntimeError as error:
                check(words in str(error), f'{operator}: the words of the refusal: {error}')


def bits(features, others, form):
    """The results and the gradient of the loss."""
    all_results = torch.ops.mcloss.mc_loss(features, *others, *mc_terms(*form))
    return *all_results, *torch.autograd.grad(all_results[0], features)


def same_bits(ones, others, what):
    check(all(map(torch.equal, ones, others)), what)


def autocast(device='cpu'):
    """Under autocast the operator computes what it computes without."""
    for dtype in TOLERANCE:
        features, *others = example(dtype, device)
        expected = bits(features, others, FORMS[1])
        with torch.autocast(device, torch.bfloat16):
            same_bits(bits(features, others, FORMS[1]), expected, f'autocast, {dtype}, {device}')


def cwa_mask(device='cpu'):
    seed = 0x123456789ABCD
    for channels, classes in ((23, 5), (12, 4), (6, 1)):
        for ratio, keep in ((0.0, 'ceil-half'), (0.6, 0.6), (1.0, 1.0)):
            for scope, rows in (('batch', 1), ('sample', 3)):
                actual = torch.ops.mcloss.cwa_mask(
                    channels, classes, ratio, scope == 'sample', seed, 41, rows, 2, device=device
                )
                expected = philox.cwa_mask(channels, classes, keep, scope, seed, 41, rows, 2)
                what = f'cwa_mask {channels} / {classes}, keep {keep}, {scope}, {device}'
                check(actual.device.type == device, f'{what}: on the device')
                holds = torch.equal(actual.reshape(rows, channels).cpu(), expected.bool())
                check(holds, what)


def cuda():
    """On a GPU: parity, the same bits every time, and a captured step that equals an eager one."""
    parity(torch.ops.mcloss.mc_loss, LAYOUTS, 'cuda')
    cwa_mask('cuda')
    gather_augment('cuda')
    batch_norm_act('cuda')
    autocast('cuda')
    for dtype in TOLERANCE:
        features = torch.rand(4, 203, 14, 14, device='cuda').to(dtype).requires_grad_()
        target = torch.randint(20, (4,), device='cuda')
        mask = torch.ops.mcloss.cwa_mask(203, 20, 0.0, True, 1, 0, 4, device='cuda')
        others = target, mask, 20
        expected = bits(features, others, FORMS[1])
        same_bits(bits(features, others, FORMS[1]), expected, f'two runs, {dtype}')

        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # a first run outside the capture
            bits(features, others, FORMS[1])
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = bits(features, others, FORMS[1])
        with torch.no_grad():
            features.copy_(features.flip(0))
        graph.replay()
        same_bits(captured, bits(features, others, FORMS[1]), f'a replayed graph, {dtype}')


def batch_norm_act_arguments(dtype=torch.float64, device='cpu', residual=True):
    """Arguments up to the statistics: x, residual, weight, bias; and running_mean, running_var."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    maps = [torch.randn(3, 5, 4, 6, dtype=torch.float64) for _ in range(2)]
    channels = [torch.rand(5, dtype=torch.float64) + 0.5 for _ in range(4)]
    first = [t.to(device, dtype).requires_grad_() for t in maps]
    second = [t.to(device, wide) for t in channels]
    weight, bias = (t.requires_grad_() for t in second[:2])
    return (first[0], first[1] if residual else None, weight, bias), tuple(second[2:])


def batch_norm_act(device='cpu'):
    """Registration, gradcheck, and the formula in float64 given the operator's own ReLU mask."""
    operators = torch.ops.mcloss
    names = ('schema', 'autograd_registration', 'faketensor', 'aot_dispatch_static')
    utilities = [f'test_{name}' for name in names]
    for residual, relu, training in product((True, False), repeat=3):
        what = f'batch_norm_act on {device}, residual {residual}, relu {relu}, training {training}'
        options = training, 0.1, 1e-5, relu
        arguments, running = batch_norm_act_arguments(device=device, residual=residual)
        torch.library.opcheck(
            operators.batch_norm_act.default, (*arguments, *running, *options), test_utils=utilities
        )
        held = tuple(None if t is None else t.detach() for t in arguments)
        torch.library.opcheck(
            operators.batch_norm_act_forward.default, (*held, *running, *options), test_utils=utilities
        )
        y, saved = operators.batch_norm_act_forward(*held, *running, *options)
        given = y if relu and residual else None
        backward = torch.ones_like(y), held[0], given, saved
        sums = operators.batch_norm_act_sums(held[0])
        grad_sums = operators.batch_norm_act_backward_sums(*backward, relu, given is not None)[0]
        for operator, of_part in (
            (operators.batch_norm_act_backward, (*backward, training, relu, given is not None)),
            (operators.batch_norm_act_sums, held[:1]),
            (operators.batch_norm_act_from_sums, (*held, *running, sums, *options[1:])),
            (operators.batch_norm_act_backward_sums, (*backward, relu, given is not None)),
            (operators.batch_norm_act_backward_from_sums, (*backward, grad_sums, relu)),
        ):
            torch.library.opcheck(operator.default, of_part, test_utils=utilities)
        given = [t for t in arguments if t is not None]

        def call(*tensors, running=running, options=options, residual=residual):
            x, *others = tensors
            others = others if residual else [None, *others]
            copies = [t.clone() for t in running]
            return operators.batch_norm_act(x, *others, *copies, *options)

        check(torch.autograd.gradcheck(call, given), f'gradcheck {what}')
        for dtype, layout in product(TOLERANCE, (torch.contiguous_format, torch.channels_last)):
            arguments, running = batch_norm_act_arguments(dtype, device, residual)
            ours = [
                t.detach().contiguous(memory_format=layout) if t is not None and t.dim() == 4 else t
                for t in arguments
            ]
            ours = [t if t is None else t.detach().requires_grad_() for t in ours]
            theirs = [t if t is None else t.detach().cpu().double().requires_grad_() for t in arguments]
            wide = [t.cpu().double() for t in running]
            y = operators.batch_norm_act(*ours, *running, *options)
            expected = torch.batch_norm(
                theirs[0], *theirs[2:], *wide, training, 0.1, 1e-5, False
            )
            if residual:
                expected = expected + theirs[1]
            if relu:
                expected = expected * (y.detach().cpu() > 0)
            upstream = (torch.rand(y.shape, dtype=torch.float64) + 0.5).to(dtype)
            y.backward(upstream.to(device))
            expected.backward(upstream.double())
            case = f'{what}, {dtype}, {layout}'
            check(y.is_contiguous(memory_format=layout), f'{case}: layout')
            close(y.detach(), expected.detach(), TOLERANCE[dtype], f'{case}: y')
            for name, one, other in zip(('x', 'residual', 'weight', 'bias'), ours, theirs):
                if one is None:
                    continue
                tolerance = TOLERANCE[dtype] if one.dim() == 4 else TOLERANCE[one.dtype]
                close(one.grad, other.grad, tolerance, f'{case}: gradient of {name}')
            for one, other in zip(running, wide):
                close(one, other, TOLERANCE[one.dtype], f'{case}: running statistics')


def winograd_conv():
    """Registration, gradcheck, and torch's own convolution in float64."""
    operators = torch.ops.mcloss
    names = ('schema', 'autograd_registration', 'faketensor', 'aot_dispatch_static')
    utilities = [f'test_{name}' for name in names]
    for with_bias in (True, False):
        x = torch.randn(2, 18, 3, 5, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(33, 18, 3, 3, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(33, dtype=torch.float64, requires_grad=True) if with_bias else None
        given = [t for t in (x, weight, bias) if t is not None]
        held = [t if t is None else t.detach() for t in (x, weight, bias)]
        upstream = torch.rand(2, 33, 3, 5, dtype=torch.float64)
        for operator, arguments in (
            (operators.winograd_conv, (x, weight, bias)),
            (operators.winograd_conv_forward, held),
            (operators.winograd_conv_backward, (upstream, *held[:2], [True] * 3)),
        ):
            torch.library.opcheck(operator.default, tuple(arguments), test_utils=utilities)
        call = lambda x, w, b=None: operators.winograd_conv(x, w, b)  # noqa: E731
        check(
            torch.autograd.gradcheck(call, given, fast_mode=True),
            f'gradcheck winograd_conv, bias {with_bias}',
        )
        y = operators.winograd_conv(x, weight, bias)
        expected = torch.nn.functional.conv2d(x, weight, bias, padding=1)
        close(y.detach(), expected.detach(), 1e-12, 'winograd_conv: y')
        pairs = zip(torch.autograd.grad(y, given, upstream), torch.autograd.grad(expected, given, upstream))
        for one, other in pairs:
            close(one, other, 1e-12, 'winograd_conv: gradient')


def gather_augment(device='cpu'):
    """Windows and normalisation by slicing and padding; jitter by the definition of PIL's blend."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    pixels = torch.randint(256, (4, 7, 9, 3), dtype=torch.uint8)
    rows = torch.tensor([2, 0, 3, 2, 1], dtype=torch.int32)
    cuts = [[0, 0, 0], [1, 2, 1], [-3, -2, 0], [4, 6, 1], [9, 0, 0]]
    windows = torch.tensor(cuts, dtype=torch.int32)
    factors = torch.rand(5, 3) * 2
    padded = pad(pixels.permute(0, 3, 1, 2).float(), (6, 6, 9, 9))
    blend = lambda a, b, factor: (a + factor * (b - a)).clamp(0, 255).trunc()  # noqa: E731
    luma = torch.tensor([19595.0, 38470, 7471])[:, None, None]
    grey = lambda x: (((x * luma).sum(0, keepdim=True) + 32768) / 65536).floor()  # noqa: E731
    m, s = (torch.tensor(values).double()[:, None, None] for values in (mean, std))
    for jitter, (dtype, tolerance) in product(
        (None, factors), ((torch.float32, 0), (torch.bfloat16, 2**-8), (torch.float16, 2**-11))
    ):
        given = pixels.to(device), rows, windows, jitter, 5, 6, mean, std, dtype
        actual = torch.ops.mcloss.gather_augment(*given)
        check(actual.dtype == dtype and actual.device.type == device, f'gather_augment: {dtype}')
        for n, (top, left, flip) in enumerate(cuts):
            window = padded[rows[n], :, top + 9 : top + 14, left + 6 : left + 12]
            window = window.flip(2) if flip else window
            if jitter is not None:
                window = blend(torch.zeros(()), window, jitter[n, 0])
                mean_grey = (grey(window).mean() + 0.5).floor()
                window = blend(mean_grey, window, jitter[n, 1])
                window = blend(grey(window), window, jitter[n, 2])
            expected = (window.double() / 255 - m) / s
            excess = (actual[n].cpu() - expected).abs() - tolerance * expected.abs()
            worst = excess.max().item()
            check(worst <= 1e-6, f'gather_augment at {top}, {left}, {dtype}, {device}: {worst}')


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.manual_seed(20260)
    torch.ops.load_library(sys.argv[1])
    parity(torch.ops.mcloss.mc_loss, LAYOUTS)
    parity(torch.ops.mcloss.mc_loss_reference, LAYOUTS[:1])
    registration()
    gradients()
    refusals()
    autocast()
    cwa_mask()
    gather_augment()
    batch_norm_act()
    winograd_conv()
    if torch.cuda.is_available():
        cuda()
    print(f'{checks} checks')
