"""Peer A of bench/memory.mjs: a few steps in a process of its own. Argument: what Peer.setup takes, and
`steps`. Prints {loss, peak, loaded}, bytes; on a GPU its name too.
"""

import json
import sys

import torch

from mc_loss_memory import resident
from train_step import Peer


def main():
    request = json.loads(sys.argv[1])
    steps, on_gpu = request.pop("steps"), request["device"] == "cuda"
    torch.set_flush_denormal(True)
    loaded = 0 if on_gpu else resident("VmRSS")
    peer = Peer()
    peer.setup(**request)
    # Choosing the MC-Loss's form is no step: the peaks begin after it.
    if on_gpu:
        torch.backends.cudnn.benchmark = True
        torch.cuda.reset_peak_memory_stats()
    else:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    loss = peer.steps(0, steps)["loss"]
    peak = torch.cuda.max_memory_allocated() if on_gpu else resident("VmHWM")
    gpu = {"gpu": torch.cuda.get_device_name()} if on_gpu else {}
    print(json.dumps({"loss": loss, "peak": peak, "loaded": loaded, **gpu}))


if __name__ == "__main__":
    main()
