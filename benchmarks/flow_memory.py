"""Peak memory of a training step of a flow against its depth, with and without recomputation.

    python benchmarks/flow_memory.py
    python benchmarks/flow_memory.py --size 128 --batch 4 --steps 4 8 16

Every line is a process of its own: one pass there, one back, and one backward pass through both. ``above`` is the peak
resident memory above what the process held before the step (weights and images included); on a GPU it is what the
allocator held at most. Losses are printed in full: recomputation changes no bit of them. On Linux, large blocks are
given back to the system when they are freed (MALLOC_MMAP_THRESHOLD_), so that the figures show what is held and not
how the allocator's heap is fragmented.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

import torch

from crossdomain.flows import ImageFlow
from crossdomain.losses import standard_normal_log_prob


def step(steps, recompute, size, batch, width):
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flow = ImageFlow(3, scales=2, steps=steps, width=width, recompute=recompute).to(device)
    for parameter in flow.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    images = (2 * torch.rand(batch, 3, size, size) - 1).to(device)
    flow(images[:1])  # whatever libraries allocate once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    z, log_det = flow(images)
    again, _ = flow.inverse(z.flip(0))
    loss = again.square().mean() - (standard_normal_log_prob(z) + log_det).mean() / z[0].numel()
    loss.backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    above = (peak - before) / 1024
    if device == "cuda":
        above = torch.cuda.max_memory_allocated() / 2**20
    gradient = sum(float(p.grad.double().square().sum()) for p in flow.parameters())
    print(above, peak / 1024, seconds, repr(loss.item()), repr(gradient))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 16], help="couplings on each of two scales")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        step(options.one[0], bool(options.one[1]), options.size, options.batch, options.width)
        return
    print(f"ImageFlow of 2 scales, width {options.width}, batch {options.batch} x 3 x {options.size} px")
    print("recompute  steps  above MiB  growth  peak MiB  seconds  loss                gradient")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    for recompute in (0, 1):
        last = None
        for steps in options.steps:
            settings = [f"--{name}={getattr(options, name)}" for name in ("size", "batch", "width")]
            command = [sys.executable, __file__, "--one", str(steps), str(recompute), *settings]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            above, peak, seconds, loss, gradient = done.stdout.split()
            growth = "" if last is None else f"{float(above) / last - 1:+.0%}"
            last = float(above)
            print(
                f"{'yes' if recompute else 'no':9}  {steps:5}  {float(above):9.0f}  {growth:>6}  {float(peak):8.0f}"
                f"  {float(seconds):7.2f}  {loss:18}  {gradient}"
            )


if __name__ == "__main__":
    main()
