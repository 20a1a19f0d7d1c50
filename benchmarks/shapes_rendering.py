"""How many pictures of Shapes are rendered in a second, of wall time and of processor time.

    python benchmarks/shapes_rendering.py
    OMP_NUM_THREADS=1 python benchmarks/shapes_rendering.py

Three cases, at 64 px: random pictures of all 480,000 at once, as a split is rendered; random pictures in batches of 64;
and every size, shape and orientation once, where no two pictures share the light that is cast. Each figure is the best
of several runs, since others may keep the machine busy.
"""

import argparse
import os
import time

import torch

from crossdomain.datamodules.shapes import COUNT, FACTORS, GEOMETRY, render, to_factors


def best_rates(batches, runs):
    """Pictures per second of wall time and of processor time, the best of ``runs``."""
    count, wall, processor = sum(map(len, batches)), float("inf"), float("inf")
    for _ in range(runs):
        start, spent = time.perf_counter(), time.process_time()
        for factors in batches:
            render(factors)
        wall = min(wall, time.perf_counter() - start)
        processor = min(processor, time.process_time() - spent)
    return count / wall, count / processor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    random = to_factors(torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))[: options.pictures])
    geometries = to_factors(torch.arange(COUNT // (FACTORS["floor"] * FACTORS["wall"] * FACTORS["object"])))
    assert len(geometries[:, GEOMETRY:].unique(dim=0)) == len(geometries)
    cases = {
        f"{options.pictures} random pictures at once": [random],
        "random pictures, batches of 64": list(random[:1024].split(64)),
        "each geometry once": [geometries],
    }
    print(f"{torch.get_num_threads()} threads on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'pictures per second of':34}{'wall time':>12}{'processor time':>18}")
    for name, batches in cases.items():
        wall, processor = best_rates(batches, options.runs)
        print(f"  {name:32}{wall:12.0f}{processor:18.0f}", flush=True)


if __name__ == "__main__":
    main()
