"""The peers of bench/train-step-gpu.mjs: PyTorch in bfloat16 by autocast, channels_last, cuDNN's benchmark,
fused SGD, the images resident on the GPU as ours are. `form`: eager (A), graph (G: A's whole step captured
with torch.cuda.graph) or compiled (B: model and loss under torch.compile, mode reduce-overhead).
"""

import torch

from mc_loss_cuda import between_events, copied_per_second
from train_step import Peer, Pixels, serve


class GpuPixels:
    """The batches bench/batches.mjs wrote, on the GPU: the crop and the flip as one gather of u8."""

    def __init__(self, shape, mean, std):
        on_cpu = Pixels(shape, mean, std, "cpu")
        self.pixels, self.labels = on_cpu.pixels.cuda(), on_cpu.labels.cuda()
        self.windows = torch.tensor(on_cpu.windows).cuda()
        self.mean, self.scale = on_cpu.mean.cuda(), on_cpu.scale.cuda()
        self.batches, self.along = on_cpu.batches, torch.arange(on_cpu.size, device="cuda")
        self.images = torch.arange(self.pixels.shape[1], device="cuda").view(-1, 1, 1)

    def at(self, step):
        """-> f32 [N, 3, size, size] channels_last, labels [N]."""
        i = step % self.batches
        top, left, flip = self.windows[i].unsqueeze(2).unbind(1)
        rows = top + self.along
        columns = left + torch.where(flip == 1, self.along.flip(0), self.along)
        x = self.pixels[i][self.images, rows.unsqueeze(2), columns.unsqueeze(1)]
        return x.sub(self.mean).mul_(self.scale).permute(0, 3, 1, 2), self.labels[i]


class GpuPeer(Peer):
    def setup(self, form="eager", **what):
        torch.backends.cudnn.benchmark = True
        answer = super().setup(**what, device="cuda")
        self.pixels = GpuPixels(what["shape"], what["mean"], what["std"])
        self.graph = None
        if form == "compiled":
            self.loss_and_logits = torch.compile(
                self.forward, fullgraph=True, mode="reduce-overhead")
        if form == "graph":
            self.capture()
        return {**answer, "gpu": torch.cuda.get_device_name()}

    def capture(self):
        """A recording reads these tensors; three steps before it let cuDNN choose."""
        x, target = self.pixels.at(0)
        self.given = [x.clone(), target.clone(), self.mask()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                super().update(*self.given)
        torch.cuda.current_stream().wait_stream(stream)
        self.sgd.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.results = super().update(*self.given)
        self.graph = graph

    def update(self, *given):
        if self.graph is None:
            return super().update(*given)
        for tensor, value in zip(self.given, given):
            if tensor is not None:
                tensor.copy_(value)
        self.graph.replay()
        return self.results

    def kernels(self):
        """Of one step, as PyTorch's profiler sees them; and the time of all that the GPU does."""
        from torch.profiler import ProfilerActivity, profile
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            self.steps(0, 1)
        events = [event for event in profiled.events() if event.device_type.name == "CUDA"]
        kernels = [event for event in events if not event.name.startswith("Mem")]
        return {"kernels": len(kernels), "ms": sum(event.device_time for event in events) / 1000}

    def rates(self):
        """Of this GPU: bytes per second of a large copy, FLOP per second of a bfloat16 product."""
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        times = [between_events(lambda: a @ b) for _ in range(13)][3:]  # the first ones warm up
        product = sorted(times)[len(times) // 2]
        return {"bytesPerSecond": copied_per_second(), "flopPerSecond": 2e3 * 8192**3 / product}


if __name__ == "__main__":
    serve(GpuPeer())
