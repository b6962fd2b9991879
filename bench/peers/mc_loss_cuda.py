"""The Python side of bench/mc-loss.mjs on a GPU: our operator, PyTorch's forms eager and under
torch.compile, in one process on the same inputs.

`wall` is what a training loop sees: many iterations between two synchronisations. `device` leaves
the launches out: a CUDA graph of one forward and backward on every input, between two events. In
bfloat16 PyTorch's forms stay in bfloat16 throughout: autocast would make their softmax float32.
"""

import time

import torch

from lines import serve
from mc_loss import mc_loss, pool, slices
from mc_loss_forms import FORMS, Case, check


class CudaBench:
    def setup(self, library, threads):
        torch.ops.load_library(library)
        properties = torch.cuda.get_device_properties(0)
        self.memory = max(256 << 20, 4 * properties.L2_cache_size)
        return {'gpu': properties.name}

    def case(self, **what):
        self.inputs = None
        torch.cuda.empty_cache()
        torch.compiler.reset()
        self.inputs = Case(**what, device='cuda', memory=self.memory)
        self.forms = {**FORMS, 'compiled slices': compiled(slices), 'compiled pool': compiled(pool)}
        return {'inputs': len(self.inputs.inputs), 'bytes': self.inputs.bytes}

    def check(self, forms):
        """Also compiles, so the timing does not."""
        return check(self.inputs, {name: self.forms[name] for name in forms})

    def wall(self, forms, rounds, iterations):
        """By turns, A B C C B A ...: {name: milliseconds an iteration, of each round}."""
        result = {name: [] for name in forms}
        for turn in range(-1, rounds):  # the first warms up
            for name in forms if turn % 2 == 0 else reversed(forms):
                torch.cuda.synchronize()
                began = time.perf_counter()
                for _ in range(iterations):
                    self.inputs.step(self.forms[name], self.inputs.next_input())
                torch.cuda.synchronize()
                if turn >= 0:
                    result[name].append(1000 * (time.perf_counter() - began) / iterations)
        return result

    def device(self, forms, replays):
        """{name: milliseconds of each replay}, by turns; {error} of a form that cannot be captured."""
        graphs, result = {}, {}
        for name in forms:
            try:
                graphs[name] = self.capture(self.forms[name])
                result[name] = []
            except RuntimeError as error:
                result[name] = {'error': str(error).splitlines()[0]}
        for turn in range(-2, replays):  # the first two warm up
            for name in graphs if turn % 2 == 0 else reversed(graphs):
                elapsed = between_events(graphs[name][0].replay)
                if turn >= 0:
                    result[name].append(elapsed / len(self.inputs.inputs))
        return result

    def capture(self, form):
        """-> the graph of every input once, and the gradients it writes, each in memory of its own."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.inputs.step(form, self.inputs.next_input())
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = [self.inputs.step(form, features)[1] for features in self.inputs.inputs]
        return graph, kept

    def peak(self, forms):
        """{name: bytes beyond the input and its gradient}."""
        result = {}
        for name in forms:
            self.inputs.step(self.forms[name], self.inputs.next_input())
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.inputs.step(self.forms[name], self.inputs.next_input())
            torch.cuda.synchronize()
            result[name] = torch.cuda.max_memory_allocated() - before - self.inputs.bytes
        return result

    def bandwidth(self):
        return {'bytesPerSecond': copied_per_second()}


def compiled(maxima):
    loss = torch.compile(mc_loss, dynamic=False)

    def form(case, features):
        return loss(features, case.target, case.mask, case.classes, case.alpha, case.beta, maxima)
    return form


def copied_per_second(copies=20):
    """Bytes read and written a second by a copy of 1 GiB, the median."""
    source = torch.randn(1 << 28, device='cuda')
    target = torch.empty_like(source)
    times = sorted(between_events(lambda: target.copy_(source)) for _ in range(copies))
    return 2000 * source.nbytes / times[copies // 2]


def between_events(run):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


if __name__ == '__main__':
    serve(CudaBench())
