"""Seconds that a fresh process takes to list the zoo, and to load a checkpoint and translate or sample once.

    python benchmarks/loading.py

Nearly all of it is the time that importing torch, lightning and torchmetrics takes.
"""

import subprocess
import sys
import time

from crossdomain import hub

LIST = "from crossdomain.cli import crossdomain as command; command(['list'])"
USE = """
import torch, crossdomain
method = crossdomain.load({name!r})
spec = method.data_spec
if method.directions:
    source, target = ("ab".index(domain) for domain in method.directions[0].split("2"))
    sides = [spec["image_size"]] * 2 if spec["image_size"] else []
    shape = [(1, channels, *sides) for channels in spec["channels"]]
    guide = torch.zeros(shape[target]) if method.guided else None
    method.translate(torch.zeros(shape[source]), method.directions[0], guide=guide)
else:
    method.sample(1)
"""


def seconds(code):
    """Wall-clock seconds of a fresh Python that runs ``code``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    print(f"{'list':24}{seconds(LIST):6.2f}")
    for name in hub.list_models():
        print(f"{name:24}{seconds(USE.format(name=name)):6.2f}", flush=True)


if __name__ == "__main__":
    main()
