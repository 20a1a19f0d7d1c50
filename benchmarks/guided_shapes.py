"""One method's row of the table of guided translation on Shapes: manipulation accuracy, discrepancy, correctness.

    python benchmarks/guided_shapes.py PREDICTOR CHECKPOINT_A CHECKPOINT_B CHECKPOINT_C

The checkpoints are of one method, trained on the splits A, B and C; which one is which, they know. They are tested on
the test splits, at the size they were trained at, with an attribute predictor of that size (recipe
``predictor_shapes``).
"""

import argparse
import logging
import warnings

from lightning.pytorch import Trainer

import crossdomain
from crossdomain.datamodules import Shapes
from crossdomain.evaluation import Evaluation
from crossdomain.metrics import relative_discrepancy

CORRECTNESS = (
    "translation_quality",
    "content_preservation",
    "style_manipulation",
    "model_bias",
    "disentanglement",
    "content_and_style",
)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def tested(checkpoint, predictor):
    """The data that a method was trained on, and its metrics on the test split, without ``test/``."""
    method = crossdomain.load(checkpoint)
    splits = (Shapes(split=split, image_size=method.spec.image_size, batch_size=50) for split in "ABC")
    data = next((data for data in splits if data.roles == method.spec.roles), None)
    if data is None:
        raise SystemExit(f"error: {checkpoint!r} was not trained on the split A, B or C of Shapes.")
    evaluation = Evaluation(pictures=0, predictor=predictor, cycle_noise=0)
    trainer = Trainer(callbacks=[evaluation], logger=False, enable_checkpointing=False, enable_progress_bar=False)
    (metrics,) = trainer.test(method, data, verbose=False)
    return data, {name.removeprefix("test/"): value for name, value in metrics.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictor", help="checkpoint of the attribute predictor")
    parser.add_argument("checkpoints", nargs=3, help="checkpoints of the method")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    results = [tested(checkpoint, options.predictor) for checkpoint in options.checkpoints]
    if len({data.split_name for data, _ in results}) < 3:
        raise SystemExit("error: two of the checkpoints were trained on the same split; give one each of A, B and C.")

    accuracies = {"special": {}, "shared": {}}
    for data, metrics in results:
        print(f"split {data.split_name}: ACC {mean(metrics[f'acc_{d}'] for d in ('a2b', 'b2a')):.3f}")
        for name, role in data.roles.items():
            kind = accuracies["shared" if role == "shared" else "special"].setdefault(name, [])
            kind += [metrics[f"acc_{name}_{d}"] for d in ("a2b", "b2a") if f"acc_{name}_{d}" in metrics]
    special, shared = ({name: mean(found) for name, found in kind.items()} for kind in accuracies.values())
    print(f"{'':16}" + "".join(f"{name:>13}" for name in special))
    for title, kind in (("ACC, special", special), ("ACC, shared", shared)):
        print(f"{title:16}" + "".join(f"{kind[name]:13.3f}" for name in special))
    average = mean(metrics[f"acc_{d}"] for _, metrics in results for d in ("a2b", "b2a"))
    print(f"ACC {average:.3f}, RD {relative_discrepancy(special, shared):.1f}")
    for name in CORRECTNESS:
        print(f"{name} {mean(metrics[f'{name}_{d}'] for _, metrics in results for d in ('a2b', 'b2a')):.3f}")


if __name__ == "__main__":
    main()
