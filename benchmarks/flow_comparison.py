"""ImageFlow beside the RealNVP of AlignFlow's experiments: likelihood and speed at equal size and budget.

Trains each flow by maximum likelihood on one domain, with the same batches, optimizer and number of epochs, and prints
for each seed the bits per dimension on the val split. First come images per second of the training step, the flows'
steps taken turn about (the median of each):

    python benchmarks/flow_comparison.py --data digits
    python benchmarks/flow_comparison.py --data mnist --root DATA --seeds 0

The sizes are chosen so that parameters differ by less than 10%.
"""

import argparse
import statistics
from functools import partial

import torch
from step_time import turn_about

from crossdomain.datamodules import DigitPair, Digits
from crossdomain.flows import ImageFlow, RealNVP, dequantize
from crossdomain.losses import standard_normal_log_prob
from crossdomain.metrics import BitsPerDim

FLOWS = {
    "ImageFlow": lambda: ImageFlow(1, scales=2, steps=2, width=56),
    "ImageFlow without spline": lambda: ImageFlow(1, scales=2, steps=4, width=32, bins=0),
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


def make_optimizer(flow, rate):
    return torch.optim.Adam(flow.parameters(), rate, fused=True)


def step(flow, optimizer, images):
    loss = -log_prob(flow, images).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def train(make, data, epochs, rate, seed):
    """Bits per dimension on val."""
    torch.manual_seed(seed)
    flow = make()
    optimizer = make_optimizer(flow, rate)
    loader = data.train_dataloader()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for number, batch in enumerate(loader):
            images = dequantize(batch["a"])
            if epoch == number == 0:
                flow.initialize(images)
            step(flow, optimizer, images)
    return bits_per_dim(flow, data.val_dataloader())


def step_times(flows, images, rate, rounds=60):
    """Median seconds of a step of each flow, by name, timed turn about."""
    steps = {}
    for name in flows:
        flow = FLOWS[name]()
        flow.initialize(images)
        steps[name] = partial(step, flow, make_optimizer(flow, rate), images)
    return {name: statistics.median(times) for name, times in turn_about(steps, rounds).items()}


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
    images = dequantize(next(iter(data.train_dataloader()))["a"])
    for name, seconds in step_times(options.flows, images, options.rate).items():
        parameters = sum(p.numel() for p in FLOWS[name]().parameters())
        print(f"{name:24} {parameters:8,} parameters  {len(images) / seconds:7.0f} images/s", flush=True)
    for name in options.flows:
        for seed in options.seeds:
            bits = train(FLOWS[name], data, options.epochs, options.rate, seed)
            print(f"{name:24} seed {seed}  {bits:7.4f} bits/dim", flush=True)


if __name__ == "__main__":
    main()
