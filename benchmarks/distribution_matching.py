"""Whether a map that matches samples by MMD or EMD has found what the domains have to do with each other.

    python benchmarks/distribution_matching.py gaussians moons pixels --seeds 0 1 2

``gaussians``: an affine map of one Gaussian to another, 2,000 points: moments of new points, beside the identity's.
``moons``: a free map fitted to 200 and to 2,000 points by EMD: EMD there, on new points, and between two new samples of
the target; the share of new points whose nearest neighbour in b is of their arm. ``pixels``: MNIST to USPS, 16 px, by
MMD: MMD on new images, and what a classifier of USPS says of them. Prints one table each. ``pixels`` reads
``CROSSDOMAIN_DATA``, as DigitPair does.
"""

import argparse
import time
from functools import cache

import torch
from torch.nn import functional as F

from crossdomain.datamodules import DigitPair, Gaussians, Moons
from crossdomain.losses import EMD, MMD
from crossdomain.networks import ConvClassifier, VectorNetwork


def fit(network, discrepancy, a, b, rounds, rate, batch=None):
    """Move ``network`` down the discrepancy of its values at ``a`` from ``b``; the rate falls in the second half."""
    optimizer = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: min(1.0, 2 * (1 - done / rounds)))
    for _ in range(rounds):
        x, y = (v if batch is None else v[torch.randint(len(v), (batch,))] for v in (a, b))
        optimizer.zero_grad()
        discrepancy(network(x), y).backward()
        optimizer.step()
        schedule.step()


def gaussians(seed):
    data = Gaussians(size=2000)
    (fields_a, fields_b) = data.split("train").fields
    a, b = fields_a["a"], fields_b["b"]
    mean_a, root_a = data.moments["a"]
    mean_b, root_b = data.moments["b"]
    new = mean_a + torch.randn(100_000, 2, generator=torch.Generator().manual_seed(seed)) @ root_a.T
    for name, discrepancy, options in (
        ("identity", None, {}),
        ("MMD", MMD(), {"rounds": 1000}),
        ("MMD, linear time", MMD("linear"), {"rounds": 1000}),
        ("EMD", EMD(), {"rounds": 300}),
    ):
        torch.manual_seed(seed)
        network = VectorNetwork(2, 2, layers=0, residual=True)
        if discrepancy is not None:
            fit(network, discrepancy, a, b, rate=0.03, batch=250, **options)
        with torch.no_grad():
            moved = network(new)
        errors = (moved.mean(0) - mean_b).abs().max(), (torch.cov(moved.T) - root_b @ root_b.T).abs().max()
        yield {"by": name, "mean error": errors[0], "covariance error": errors[1]}


def moons(seed):
    generator = torch.Generator().manual_seed(seed)
    (fields_a, fields_b) = Moons().split("train").fields
    order_a, order_b = (torch.randperm(10_000, generator=generator) for _ in "ab")
    a, b = fields_a["a"][order_a], fields_b["b"][order_b]
    arms_a, arms_b = fields_a["label_a"][order_a], fields_b["label_b"][order_b]
    distance = EMD()
    for points in (200, 2000):
        for start in ("random", "identity"):
            torch.manual_seed(seed)
            network = VectorNetwork(2, 2, width=64, residual=start == "identity")
            fit(network, distance, a[:points], b[:points], rounds=600, rate=3e-3, batch=None if points == 200 else 200)
            with torch.no_grad():
                seen, new = network(a[:200]), network(a[5000:7000])
            # Distances of samples of 200, whatever the training's size: EMD falls with the number of points.
            held_out = torch.stack([distance(new[i : i + 200], b[5000 + i : 5200 + i]) for i in range(0, 2000, 200)])
            fresh = torch.stack([distance(b[7000 + i : 7200 + i], b[5000 + i : 5200 + i]) for i in range(0, 2000, 200)])
            nearest = arms_b[5000:][torch.cdist(new, b[5000:]).argmin(1)]
            yield {
                "points": f"{points}",
                "T starts": start,
                "EMD in training": distance(seen, b[:200]),
                "on new points": held_out.mean(),
                "two samples of b": fresh.mean(),
                "arm accuracy": (nearest == arms_a[5000:7000]).float().mean(),
            }


def classifier(images, labels, rounds=600):
    torch.manual_seed(0)
    network = ConvClassifier(1, 10)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(rounds):
        chosen = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        F.cross_entropy(network(images[chosen]), labels[chosen]).backward()
        optimizer.step()
    return network.eval()


def digits(split):
    """Images (N, 1, 16, 16) in [-1, 1] and labels of both domains."""
    fields = DigitPair(source="mnist", target="usps", image_size=16).split(split).fields
    for domain, found in zip("ab", fields, strict=True):
        yield found[domain][:10_000].float() / 127.5 - 1, found[f"label_{domain}"][:10_000]


@cache
def digits_and_judge():
    """Both splits of both domains, and the classifier of the target: one for all seeds."""
    train, test = (list(digits(split)) for split in ("train", "test"))
    return train, test, classifier(*train[1])


def pixels(seed):
    ((a, _), (b, _)), ((new_a, labels), (new_b, labels_b)), judge = digits_and_judge()
    distance = MMD()

    def row(name, images):
        with torch.no_grad():
            return {
                "T": name,
                "MMD, squared": distance(images[:2000], new_b[:2000]),
                "accuracy by a classifier of USPS": (judge(images).argmax(1) == labels[: len(images)]).float().mean(),
            }

    yield row("identity", new_a)
    own = (judge(new_b).argmax(1) == labels_b).float().mean()
    yield row("none: USPS of train", b[:2000]) | {"accuracy by a classifier of USPS": own}
    for start in ("random", "identity"):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Flatten(), VectorNetwork(256, 256, width=256, residual=start == "identity")
        )
        fit(network, distance, a, b.flatten(1), rounds=600, rate=1e-3, batch=128)
        with torch.no_grad():
            yield row(f"starts {start}", network(new_a).view(-1, 1, 16, 16))


def main():
    parts = {"gaussians": gaussians, "moons": moons, "pixels": pixels}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(parts))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    for part in options.parts:
        start = time.process_time()
        for count, seed in enumerate(options.seeds):
            for row in parts[part](seed):
                if count == 0 and start is not None:
                    print(f"\n| {part}, seed | {' | '.join(row)} |\n|{'---|' * (len(row) + 1)}")
                    begun, start = start, None
                shown = (value if isinstance(value, str) else f"{float(value):.4f}" for value in row.values())
                print(f"| {seed} | {' | '.join(shown)} |", flush=True)
        print(f"\n{time.process_time() - begun:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main()
