"""FlowGAN on MNIST by likelihood (MLE), by a critic (ADV) and by both (hybrid), with the same flow and batches.

Trains each by the recipe zoo/flowgan_mnist.yaml and prints for each, on domain a:

- bits/dim on val and test, all constants included;
- nats on test, as the paper prints them: negative log-density of an image whose values are spread over [0, 1], without
  the log 256 of each that makes it one of stored values: ``nats = 784 log 2 (bits/dim - 8)``;
- log singular values of the flow's Jacobian, the smallest and the largest at the first test image;
- seconds of training.

Real digits and samples at three temperatures go to ``<folder>/<flow>_<row>_<seed>.png``.

    python benchmarks/flowgan_mnist.py --rows MLE ADV hybrid --folder flowgan_mnist

One epoch, 540 batches, takes about five minutes on one core with five moves of the critic, and one without it.
"""

import argparse
import math
import time
from pathlib import Path

from lightning.pytorch import Trainer
from torchvision.io import write_png

from crossdomain import hub
from crossdomain.evaluation import Evaluation
from crossdomain.lightning_cli import run

ROWS = {
    "MLE": ["--model.adversarial_weight", "0"],
    "ADV": ["--model.likelihood_weight", "0"],
    "hybrid": [],
}
# The recipe's NICE, and others of which a batch takes about as long.
GAUSSIAN = ["--model.prior", "gaussian", "--model.flow.alpha", "1e-6"]
FLOWS = {
    "NICE": [],
    "RealNVP": ["--model.flow", "RealNVP", "--model.flow.width", "8", "--model.flow.blocks", "1", *GAUSSIAN],
    "Glow": ["--model.flow", "Glow", "--model.flow.steps", "4", "--model.flow.width", "32", *GAUSSIAN],
}
DIMENSIONS = 28 * 28


def measure(flow, row, seed, epochs, folder):
    """Metrics of val and test, and the seconds that training took."""
    half = epochs // 2
    options = ["--config", str(hub.find_recipe("flowgan_mnist")), "--seed_everything", str(seed)]
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
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--flows", nargs="+", choices=list(FLOWS), default=["NICE"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("flowgan_mnist"), help="where grids of samples go")
    options = parser.parse_args()
    lines = ["| flow | | seed | bits/dim val | bits/dim test | nats test | log singular values | seconds |"]
    lines.append("|" + "---|" * 8)
    for flow in options.flows:
        for row in options.rows:
            for seed in options.seeds:
                found = measure(flow, row, seed, options.epochs, options.folder)
                bits = found["test/bits_per_dim_a"]
                lines.append(
                    f"| {flow} | {row} | {seed} | {found['val/bits_per_dim_a']:.3f} | {bits:.3f} "
                    f"| {DIMENSIONS * math.log(2) * (bits - 8):.1f} "
                    f"| {found['test/jacobian_min_a']:.1f} to {found['test/jacobian_max_a']:.1f} "
                    f"| {found['seconds']:.0f} |"
                )
                print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
