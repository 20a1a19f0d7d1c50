"""How fast pairs are read, beside how fast pix2pix consumes them, and what the size of the folder costs in memory.

    python benchmarks/reading.py --root data
    python benchmarks/reading.py --root data --workers 0 2 4 --rounds 50 --files 400

Reading: the training loader of Facades as the recipe ``pix2pix_facades`` sets it (128 px, resized to 143 first, batches
of one), in pairs per second, with nothing else going on. Consuming: rounds of that recipe's method on one batch in
memory, by the bare loop of ``step_time.py``, so without the Trainer's share. The ratio should be at least 3.

Memory: peak resident size of a process, and of its largest worker, that read a folder of N and one of 10 N files from
end to end; the folders hold links to the same files. Every line is a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import torch
from step_time import bare_round, make_method, now

from crossdomain.datamodules import Facades

SIZE, LOAD_SIZE = 128, 143  # those of zoo/pix2pix_facades.yaml


def training_loader(root, workers):
    data = Facades(root=root, image_size=SIZE, load_size=LOAD_SIZE, num_workers=workers)
    data.setup("fit")
    return data.train_dataloader()


def pairs_read(root, workers, seconds):
    """Pairs per second, over whole epochs, not counting the start of the workers."""
    loader, count, spent = training_loader(root, workers), 0, 0.0
    for _ in loader:  # the first epoch starts the workers, and brings the files into the system's cache
        pass
    while spent < seconds:
        start = time.perf_counter()
        count += sum(1 for _ in loader)
        spent += time.perf_counter() - start
    return count / spent


def pairs_consumed(precision, rounds):
    """Pairs per second that the recipe's method trains on."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    method = make_method("pix2pix_facades", 3, []).to(device)
    optimizers = dict(zip(method.players, method.configure_optimizers()[0], strict=True))
    batch = {domain: (2 * torch.rand(1, 3, SIZE, SIZE) - 1).to(device) for domain in "ab"}
    batch |= {"truth_b2a": batch["a"], "truth_a2b": batch["b"]}
    for _ in range(3):
        bare_round(method, optimizers, batch, precision)
    start = now()
    for _ in range(rounds):
        bare_round(method, optimizers, batch, precision)
    return rounds / (now() - start)


def peak_memory():
    """MiB, on Linux. Not ru_maxrss: a process inherits that from the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def read_once(root, workers):
    """One epoch; prints the peaks before and after, and that of the largest worker."""
    loader = training_loader(root, workers)
    before = peak_memory()
    count = sum(1 for _ in loader)
    del loader  # ends the workers
    print(count, before, peak_memory(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)


def linked(files, count, root):
    """A dataset of ``count`` pairs that are links to ``files``."""
    for split, wanted in (("train", count), ("val", 1)):
        folder = root / "facades" / split
        folder.mkdir(parents=True)
        for i, file in enumerate(islice(cycle(files), wanted)):
            (folder / f"{i:07d}{file.suffix}").symlink_to(file.resolve())
    return root


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=os.environ.get("CROSSDOMAIN_DATA", "data"), help="folder that holds facades")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seconds", type=float, default=5, help="how long reading is timed, at least")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of pix2pix that are timed")
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--files", type=int, default=100, help="N, files in the smaller folder")
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        read_once(options.once[0], int(options.once[1]))
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    consumed = pairs_consumed(options.precision, options.rounds)
    print(f"Facades at {SIZE} px from {LOAD_SIZE}, batches of one")
    print(f"  {torch.get_num_threads()} threads on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"  pix2pix consumes, {options.precision} on {device}{consumed:10.1f} pairs/s")
    for workers in options.workers:
        read = pairs_read(options.root, workers, options.seconds)
        print(f"  read with {workers} workers{'':13}{read:10.1f} pairs/s, ratio {read / consumed:.1f}", flush=True)
    files = sorted((Path(options.root) / "facades" / "train").glob("*.jpg"))
    print("Peak resident MiB   files  before  reading   above  largest worker")
    for workers in options.workers:
        for count in (options.files, 10 * options.files):
            with tempfile.TemporaryDirectory() as folder:
                root = linked(files, count, Path(folder))
                command = [sys.executable, __file__, "--once", str(root), str(workers)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            read, before, after, worker = map(float, done.stdout.split())
            print(
                f"  {workers} workers{'':7}{int(read):7}{before:8.0f}{after:9.0f}{after - before:+8.0f}"
                + (f"{worker:16.0f}" if workers else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
