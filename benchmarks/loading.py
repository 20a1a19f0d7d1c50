"""What a fresh process costs: CPU seconds of commands and of loading beside those of importing Lightning alone.

    python benchmarks/loading.py                  # --help, list and a load, in pairs with `import lightning.pytorch`
    python benchmarks/loading.py --zoo            # each checkpoint: load, then translate or sample once

The ratio is the median over pairs run one after the other, so that a busy machine slows both alike.
"""

import argparse
import resource
import statistics
import subprocess
import sys

from crossdomain import hub

LIGHTNING = "import lightning.pytorch"
COMMANDS = {
    "lightning --help": "from crossdomain.cli import main; main(['--help'])",
    "lightning fit --help": "from crossdomain.cli import main; main(['fit', '--help'])",
    "crossdomain list": "from crossdomain.cli import crossdomain as command; command(['list'])",
    "crossdomain.load": "import crossdomain; crossdomain.load('alignflow-digits')",
}
USE = """
import torch, crossdomain
method = crossdomain.load({name!r})
spec = method.spec
if method.directions:
    direction = method.directions[0]
    sides = [spec.image_size] * 2 if spec.image_size else []
    shape = {domain: (1, channels, *sides) for domain, channels in method.channels.items()}
    guide = torch.zeros(shape[direction.target]) if method.guide == "required" else None
    method.translate(torch.zeros(shape[direction.source]), direction, guide=guide)
else:
    method.sample(1)
"""


def cpu_seconds(code):
    """User and system seconds of a fresh Python that runs ``code``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--zoo", action="store_true", help="the zoo's checkpoints instead of the commands")
    options = parser.parse_args()
    tried = {name: USE.format(name=name) for name in hub.list_models()} if options.zoo else COMMANDS
    for name, code in tried.items():
        pairs = [(cpu_seconds(LIGHTNING), cpu_seconds(code)) for _ in range(options.pairs)]
        median, ratio = statistics.median(ours for _, ours in pairs), statistics.median(b / a for a, b in pairs)
        print(f"{name:24}{median:7.2f} s   x {ratio:.2f} of {LIGHTNING}", flush=True)


if __name__ == "__main__":
    main()
