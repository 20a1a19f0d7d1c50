"""What channels last and bfloat16 do to a round of a recipe's method on this machine.

    python benchmarks/machine_settings.py                                        # the embedded recipes
    python benchmarks/machine_settings.py --config cyclegan_facades --size 128 --batch 1
    python benchmarks/machine_settings.py --bf16                                 # slow where bfloat16 is emulated

Bare rounds (see ``step_time.py``) of equal methods take turns in one process; printed are the medians, and those of the
ratios to the plain setting: float32, channels first.
"""

import argparse
import copy
import platform
import statistics
from functools import partial

import torch
from step_time import bare_round, make_method, turn_about

from crossdomain.precision import native_precision

# Of a recipe: channels, size and batch of its data.
EMBEDDED = {
    "alignflow": (1, 16, 64),
    "cyclegan": (1, 16, 64),
    "bicyclegan": (3, 32, 32),
    "munit": (3, 32, 8),
    "rift": (3, 32, 16),
}


def rounds_of(recipe, channels, size, batch, bf16):
    """A function for each setting that runs one round of the recipe's method."""
    torch.manual_seed(0)
    plain = make_method(recipe, channels, ["channels_last=false"])
    images = {domain: torch.randint(0, 256, (batch, channels, size, size)) / 127.5 - 1 for domain in "ab"}
    images |= {"truth_a2b": images["b"], "truth_b2a": images["a"]}
    plain.prepare([images])
    rounds = {}
    for name, layout, precision in (
        ("float32", torch.contiguous_format, "32-true"),
        ("channels last", torch.channels_last, "32-true"),
        *([("bf16", torch.contiguous_format, "bf16-mixed")] if bf16 else []),
        *([("bf16, channels last", torch.channels_last, "bf16-mixed")] if bf16 else []),
    ):
        method = copy.deepcopy(plain).to(memory_format=layout)
        laid_out = {name: image.contiguous(memory_format=layout) for name, image in images.items()}
        optimizers = dict(zip(method.players, method.configure_optimizers()[0], strict=True))
        rounds[name] = partial(bare_round, method, optimizers, laid_out, precision)
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="one recipe, with --channels, --size and --batch")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="time bfloat16 too")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    recipes = {options.config: (options.channels, options.size, options.batch)} if options.config else EMBEDDED
    print(f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}: {native_precision('cpu').reason}")
    for recipe, shape in recipes.items():
        times = turn_about(rounds_of(recipe, *shape, options.bf16), options.rounds, warm_up=2)
        plain = times["float32"]
        for name, seconds in times.items():
            ratio = statistics.median(one / other for one, other in zip(seconds, plain, strict=True))
            print(f"{recipe:20}{name:22}{1000 * statistics.median(seconds):9.1f} ms  x {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
