"""Peak memory of one form's forward and backward, for bench/mc-loss.mjs, in a process of its own: what
the resident set grows by (VmHWM), less the gradient. The caller sets MALLOC_MMAP_THRESHOLD_, so that
memory goes back when it is freed, and small pages: the resident set is then what is in use.

Argument: JSON {library, threads, form, case}. Prints {bytes}.
"""

import json
import sys

import torch

from mc_loss_forms import FORMS, Case


def resident(name):
    """VmRSS or VmHWM, bytes."""
    with open('/proc/self/status') as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def main():
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request['threads'])
    torch.ops.load_library(request['library'])
    form, what = FORMS[request['form']], request['case']
    # A small map of the same kind first: threads started, libraries and kernels loaded.
    n, c, h, w = what['shape']
    warm = Case(**{**what, 'shape': [2 * request['threads'], c, 4, 4]}, memory=1)
    for _ in range(3):
        warm.step(form, warm.next_input())
    case = Case(**what, memory=1)
    features = case.next_input()
    with open('/proc/self/clear_refs', 'w') as file:
        file.write('5')  # VmHWM starts again from VmRSS
    before = resident('VmRSS')
    kept = case.step(form, features)
    after = resident('VmHWM')
    del kept
    print(json.dumps({'bytes': after - before - case.bytes}))


if __name__ == '__main__':
    main()
