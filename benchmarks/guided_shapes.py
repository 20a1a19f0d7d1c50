"""The table of guided translation on Shapes: methods, and what knows nothing, over the splits A, B and C.

    python benchmarks/guided_shapes.py PREDICTOR [NAME=]CHECKPOINT ...

The checkpoints are of methods that were trained on the splits A, B and C of one image size, three of each method; which
is which, they know, and NAME tells variants of one class apart. They are tested on the test splits, with an attribute
predictor of that size (recipe ``predictor_shapes``). Two checkpoints of one name and split are of two seeds, each a
row. Rows of rivals follow: copies of the input and of the guide, and a random image.
"""

import argparse
import logging
import warnings
from collections import defaultdict

from lightning.pytorch import Trainer

import crossdomain
from crossdomain.datamodules import Shapes
from crossdomain.domains import BOTH, DataSpec
from crossdomain.evaluation import Evaluation
from crossdomain.metrics import relative_discrepancy
from crossdomain.rivals import rivals

CORRECTNESS = (
    "content_and_style",
    "translation_quality",
    "content_preservation",
    "style_manipulation",
    "model_bias",
    "disentanglement",
)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def tested(method, data, predictor):
    """Metrics of a method on the test split, without ``test/``."""
    evaluation = Evaluation(pictures=0, predictor=predictor, cycle_noise=0)
    trainer = Trainer(callbacks=[evaluation], logger=False, enable_checkpointing=False, enable_progress_bar=False)
    (metrics,) = trainer.test(method, data, verbose=False)
    return {name.removeprefix("test/"): value for name, value in metrics.items()}


class Row:
    """Metrics of one method on the three splits, by the split's letter."""

    def __init__(self, metrics, roles):
        self.metrics = metrics
        accuracies = {"special": {}, "shared": {}}
        for split, found in metrics.items():
            for name, role in roles[split].items():
                kind = accuracies["shared" if role == "shared" else "special"].setdefault(name, [])
                kind += [found[f"acc_{name}_{d}"] for d in BOTH if f"acc_{name}_{d}" in found]
        self.special, self.shared = ({n: mean(found) for n, found in kind.items()} for kind in accuracies.values())

    def cells(self):
        """Accuracy by split and over all, RD, correctness."""
        by_split = [mean(self.metrics[split][f"acc_{d}"] for d in BOTH) for split in "ABC"]
        rd = relative_discrepancy(self.special, self.shared)
        correct = [mean(found[f"{name}_{d}"] for found in self.metrics.values() for d in BOTH) for name in CORRECTNESS]
        return [*(f"{value:.3f}" for value in (*by_split, mean(by_split))), f"{rd:.1f}", *(f"{v:.3f}" for v in correct)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictor", help="checkpoint of the attribute predictor")
    parser.add_argument("checkpoints", nargs="+", metavar="[NAME=]CHECKPOINT")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    given = [argument.rpartition("=")[::2] for argument in options.checkpoints]
    methods = [(name, path, crossdomain.load(path)) for name, path in given]
    size = methods[0][2].spec.image_size
    splits = {split: Shapes(split=split, image_size=size, batch_size=50) for split in "ABC"}
    roles = {split: data.roles for split, data in splits.items()}
    found = defaultdict(lambda: defaultdict(list))  # metrics by method and split, one for each seed
    for name, path, method in methods:
        split = next((split for split in splits if roles[split] == method.spec.roles), None)
        if split is None:
            raise SystemExit(f"error: {path!r} was not trained on the split A, B or C of Shapes.")
        found[name or type(method).__name__][split].append(tested(method, splits[split], options.predictor))
    for split, data in splits.items():
        data.setup("fit")
        known = rivals(DataSpec.from_plain(data.spec()), [method for *_, method in methods], data.train_dataloader())
        for name, rival in known.items():
            if name != "mean-image":  # no style that a predictor could read
                found[name][split].append(tested(rival, data, options.predictor))
    rows = {}
    for name, by_split in found.items():
        if {len(by_split[split]) for split in "ABC"} != {len(by_split["A"])}:
            raise SystemExit(f"error: {name} has not as many checkpoints of each of the splits A, B and C.")
        seeds = [dict(zip("ABC", seed, strict=True)) for seed in zip(*(by_split[s] for s in "ABC"), strict=True)]
        for n, metrics in enumerate(seeds):
            rows[f"{name} ({n + 1})" if len(seeds) > 1 else name] = Row(metrics, roles)

    header = ["test splits, both directions", "ACC A", "ACC B", "ACC C", "ACC", "RD", *CORRECTNESS]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for name, row in rows.items():
        print("| " + " | ".join([name, *row.cells()]) + " |")
    print("\n| manipulation accuracy | " + " | ".join(splits["A"].roles) + " |\n" + "|---" * 7 + "|")
    for name, row in rows.items():
        for kind in ("special", "shared"):
            values = (f"{getattr(row, kind)[attribute]:.3f}" for attribute in splits["A"].roles)
            print(f"| {name}, {kind} | " + " | ".join(values) + " |")


if __name__ == "__main__":
    main()
