"""FlowGAN on MNIST by likelihood (MLE), by a critic (ADV) and by both (hybrid), with the same flow and batches.

Trains each by the recipe zoo/flowgan_mnist.yaml and prints for each, on domain a:

- bits/dim on val and test, all constants included;
- nats on test, as the paper prints them: negative log-density of an image whose values are spread over [0, 1], without
  the log 256 of each that makes it one of stored values: ``nats = 784 log 2 (bits/dim - 8)``;
- log singular values of the flow's Jacobian, the smallest and the largest at the first test image;
- with ``--classifier``, the mode score of 10,000 samples (Che et al., ICLR 2017, arXiv 1612.02136), which is 10 where
  each is certainly a digit and all digits are as frequent as among the test images, and 1 where none is;
- seconds of training.

Real digits and samples at three temperatures go to ``<folder>/<flow>_<row>_<seed>.png``, and the score of the test
images is printed first. Other options go to ``lightning fit``, such as ``--model.likelihood_weight 1e-2``.

    lightning fit --config classifier_source_mnist_usps --data.image_size 28 --trainer.max_epochs 1
    python benchmarks/flowgan_mnist.py --rows MLE ADV hybrid --folder flowgan_mnist --classifier CHECKPOINT

One epoch, 540 batches, takes about four minutes on one core with five moves of the critic, and half a one without it.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from torch.nn import functional as F
from torchvision.io import write_png

import crossdomain
from crossdomain import hub
from crossdomain.commands.lightning import run
from crossdomain.datamodules import DigitPair
from crossdomain.evaluation import Evaluation

ROWS = {
    "MLE": ["--model.adversarial_weight", "0"],
    "ADV": ["--model.likelihood_weight", "0"],
    "hybrid": [],
}
# The recipe's ImageFlow, the paper's NICE at half its width, and others of which a batch takes about as long.
OTHERS = {
    "NICE": {"flow": "NICE", "flow.size": 28, "flow.layers": 5, "flow.width": 500, "prior": "logistic"},
    "RealNVP": {"flow": "RealNVP", "flow.width": 8, "flow.blocks": 1},
    "Glow": {"flow": "Glow", "flow.steps": 4, "flow.width": 32},
}
FLOWS = {"ImageFlow": []} | {
    name: [*(f"--model.{key}={value}" for key, value in model.items()), "--model.flow.alpha=1e-6"]
    for name, model in OTHERS.items()
}
DIMENSIONS = 28 * 28
SAMPLES, AT_ONCE = 10_000, 500


@torch.no_grad()
def mode_score(classifier, batches, frequencies):
    """exp(E KL(p(y|x) || p*) - KL(p(y) || p*)) of images on [-1, 1], with p* the ``frequencies`` (10,) of digits."""
    logits = torch.cat([classifier.classify(images.clamp(-1, 1)) for images in batches])
    opinions = F.log_softmax(logits.double(), 1)
    marginal = opinions.exp().mean(0)
    sure = (opinions.exp() * (opinions - frequencies.log())).sum(1).mean()
    return (sure - (marginal * (marginal.log() - frequencies.log())).sum()).exp().item()


def score_of_test_images(classifier):
    """The mode score of MNIST's test images, and how frequent each digit is among them, (10,)."""
    data = DigitPair("mnist", "usps", image_size=28)
    data.setup("test")
    batches = [batch for batch in data.test_dataloader() if "a" in batch]
    labels = torch.cat([batch["label_a"] for batch in batches])
    frequencies = labels.bincount(minlength=10).double() / len(labels)
    return mode_score(classifier, (batch["a"] for batch in batches), frequencies), frequencies


def measure(flow, row, seed, epochs, folder, options, score):
    """Metrics of val and test, the seconds that training took, and what ``score`` says of samples, if it is given."""
    half = epochs // 2
    options = ["--config", str(hub.find_recipe("flowgan_mnist")), "--seed_everything", str(seed), *options]
    options += [*FLOWS[flow], *ROWS[row], "--trainer.max_epochs", str(epochs), "--trainer.limit_val_batches", "0"]
    options += ["--model.schedule.constant", str(epochs - half), "--model.schedule.decay", str(half)]
    options += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    start = time.perf_counter()
    done = run(["fit", *options])
    result = {"seconds": time.perf_counter() - start}
    evaluation = Evaluation(pictures=12, jacobian=1)
    trainer = Trainer(logger=False, enable_progress_bar=False, callbacks=[evaluation])
    for evaluate in (trainer.validate, trainer.test):
        result |= evaluate(done.model, done.datamodule, verbose=False)[0]
    folder.mkdir(parents=True, exist_ok=True)
    grid = evaluation.grid(done.model.eval(), next(iter(done.datamodule.test_dataloader())))
    write_png(grid, str(folder / f"{flow}_{row}_{seed}.png"))
    if score is not None:
        result["mode score"] = score(done.model.sample(AT_ONCE, seed=part)["a"] for part in range(SAMPLES // AT_ONCE))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--flows", nargs="+", choices=list(FLOWS), default=["ImageFlow"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("flowgan_mnist"), help="where grids of samples go")
    parser.add_argument("--classifier", help="checkpoint of a classifier of MNIST at 28 px, for the mode score")
    options, recipe_options = parser.parse_known_args()  # the others go to `lightning fit`
    score = None
    if options.classifier is not None:
        classifier = crossdomain.load(options.classifier)
        of_test, frequencies = score_of_test_images(classifier)
        score = partial(mode_score, classifier, frequencies=frequencies)
        print(f"mode score of the test images: {of_test:.2f}")
    lines = [
        "| flow | | seed | bits/dim val | bits/dim test | nats test | mode score | log singular values | seconds |"
    ]
    lines.append("|" + "---|" * 9)
    for flow in options.flows:
        for row in options.rows:
            for seed in options.seeds:
                found = measure(flow, row, seed, options.epochs, options.folder, recipe_options, score)
                bits = found["test/bits_per_dim_a"]
                lines.append(
                    f"| {flow} | {row} | {seed} | {found['val/bits_per_dim_a']:.3f} | {bits:.3f} "
                    f"| {DIMENSIONS * math.log(2) * (bits - 8):.1f} | {found.get('mode score', math.nan):.2f} "
                    f"| {found['test/jacobian_min_a']:.1f} to {found['test/jacobian_max_a']:.1f} "
                    f"| {found['seconds']:.0f} |"
                )
                print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
