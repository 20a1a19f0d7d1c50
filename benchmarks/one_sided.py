"""What a one-sided round of DistanceGAN costs beside a two-sided one, and beside one with cycles.

Times bare rounds (networks, losses, updates; see step_time.py) of the recipe's networks, turn about in one process, and
prints the median of each and the ratio to the two-sided round:

    python benchmarks/one_sided.py
    python benchmarks/one_sided.py --size 64 --batch 8 --precision bf16-mixed
"""

import argparse
import statistics

import torch
from step_time import make_method, time_turn_about

CYCLES = ["cycle_weight_a=10", "cycle_weight_b=10"]
KINDS = {
    "one-sided": ["direction=a2b"],
    "two-sided": ["direction=both"],
    "two-sided with cycles": ["direction=both", *CYCLES],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="distancegan")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--rounds", type=int, default=10, help="times three of each kind")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = (options.batch, 1, options.size, options.size)
    batch = {domain: (torch.randint(0, 256, shape) / 127.5 - 1).to(device) for domain in "ab"}
    methods = {}
    for kind, settings in KINDS.items():
        torch.manual_seed(0)
        methods[kind] = make_method(options.config, 1, settings).to(device)
    times = time_turn_about(methods, batch, options.precision, options.rounds)
    both = statistics.median(times["two-sided"])
    print(f"{options.config} {options.precision} on {device}, {options.batch} x {options.size} px")
    for kind, seconds in times.items():
        median = statistics.median(seconds)
        print(f"  {kind:22}{1000 * median:9.1f} ms/round, {median / both:.2f} of the two-sided one")


if __name__ == "__main__":
    main()
