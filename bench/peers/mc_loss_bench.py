"""The Python side of bench/mc-loss.mjs and bench/mc-share.mjs on a CPU: our operator and PyTorch's
forms in one process, on the same threads and inputs.

Reads one JSON command a line on stdin, answers with one JSON line on stdout, and sleeps on the pipe
in between.
"""

import gc
import time

import torch

from lines import serve
from mc_loss_forms import FORMS, Case, check


class Bench:
    def setup(self, library, threads):
        torch.set_num_threads(threads)
        torch.ops.load_library(library)
        return {}

    def case(self, **what):
        """Makes the inputs of one shape; the last ones go."""
        self.inputs = None
        self.inputs = Case(**what)
        return {'inputs': len(self.inputs.inputs), 'bytes': self.inputs.bytes}

    def check(self, forms):
        return check(self.inputs, {name: FORMS[name] for name in forms})

    def time(self, forms, runs, warmup=0):
        """Forward and backward by turns, A B C C B A ...: {name: milliseconds of each run}. Every run
        has the next input; its gradient goes after the clock has stopped."""
        result = {name: [] for name in forms}
        gc.disable()
        for turn in range(warmup + runs):
            for name in forms if turn % 2 == 0 else reversed(forms):
                features = self.inputs.next_input()
                began = time.perf_counter()
                kept = self.inputs.step(FORMS[name], features)
                elapsed = time.perf_counter() - began
                del kept
                if turn >= warmup:
                    result[name].append(1000 * elapsed)
        gc.enable()
        return result


if __name__ == '__main__':
    serve(Bench())
