"""ImageFlow beside the RealNVP of AlignFlow's experiments: likelihood and speed at equal size and budget.

Trains each flow by maximum likelihood on one domain, with the same batches, optimizer and number of epochs, and prints
for each seed the bits per dimension on the val split, and images per second of the training step (the median step):

    python benchmarks/flow_comparison.py --data digits
    python benchmarks/flow_comparison.py --data mnist --root DATA --seeds 0

The sizes are chosen so that parameters differ by less than 10%.
"""

import argparse
import statistics
import time

import torch

from crossdomain.datamodules import DigitPair, Digits
from crossdomain.flows import ImageFlow, RealNVP, dequantize
from crossdomain.losses import standard_normal_log_prob
from crossdomain.metrics import BitsPerDim

FLOWS = {
    "ImageFlow": lambda: ImageFlow(1, scales=2, steps=4, width=32),
    "RealNVP": lambda: RealNVP(1, scales=2, width=8, blocks=1),
}


def log_prob(flow, images):
    latents, log_det = flow(images)
    return standard_normal_log_prob(latents) + log_det


def bits_per_dim(flow, loader):
    metric = BitsPerDim()
    flow.eval()
    with torch.no_grad():
        for batch in loader:
            if "a" not in batch:
                continue
            noise = torch.rand(batch["a"].shape[1:], generator=torch.Generator().manual_seed(0))
            metric.update(log_prob(flow, dequantize(batch["a"], noise=noise)), batch["a"][0].numel())
    flow.train()
    return float(metric.compute())


def train(make, data, epochs, rate, seed):
    """Bits per dimension on val and the median seconds of a step."""
    torch.manual_seed(seed)
    flow = make()
    optimizer = torch.optim.Adam(flow.parameters(), rate, fused=True)
    loader = data.train_dataloader()
    times = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            images = dequantize(batch["a"])
            if not times:
                flow.initialize(images)
            start = time.perf_counter()
            loss = -log_prob(flow, images).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times.append(time.perf_counter() - start)
    return bits_per_dim(flow, data.val_dataloader()), statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--root", help="folder with MNIST and USPS; CROSSDOMAIN_DATA when left out")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--flows", nargs="+", choices=list(FLOWS), default=list(FLOWS))
    options = parser.parse_args()
    data = Digits() if options.data == "digits" else DigitPair("mnist", "usps", root=options.root, image_size=16)
    data.setup("fit")
    for name in options.flows:
        parameters = sum(p.numel() for p in FLOWS[name]().parameters())
        for seed in options.seeds:
            bits, seconds = train(FLOWS[name], data, options.epochs, options.rate, seed)
            speed = f"{data.batch_size / seconds:7.0f} images/s"
            print(f"{name:10} {parameters:8,} parameters  seed {seed}  {bits:7.4f} bits/dim  {speed}", flush=True)


if __name__ == "__main__":
    main()
