"""The domain adaptation table: a method, three classifiers, and what they reach on the target domain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossdomain import hub
from crossdomain.lightning_cli import run

ROWS = {
    "source only": "classifier_source",
    "adapted": "classifier_adapted",
    "target only": "classifier_target",
}


@dataclass
class AdaptationTable:
    """What :func:`adapt` measured.

    Attributes:
        method: metrics of the method on the test split, by tag.
        accuracy: accuracy on the target domain's test split, of each classifier.
        images: how many target images the accuracy is taken over.
        checkpoint: the trained method.
        logs: where TensorBoard finds all four runs.
    """

    method: dict[str, float]
    accuracy: dict[str, float]
    images: int
    checkpoint: Path
    logs: Path

    def __str__(self) -> str:
        lines = [f"Accuracy on the target's test split ({self.images} images)"]
        lines += [f"  {name:<14}{value:8.3f}" for name, value in self.accuracy.items()]
        lines += ["", "The method on the test split, scale [-1, 1]"]
        lines += [f"  {name:<14}{value:8.2g}" if "cycle" in name else f"  {name:<14}{value:8.4f}"
                  for name, value in self.method.items()]  # fmt: skip
        lines += ["", f"Checkpoint  {self.checkpoint}", f"Logs        tensorboard --logdir {self.logs}"]
        return "\n".join(lines)


def _train(recipe: str, seed: int, *options: str) -> Path:
    """Train by a recipe; returns the last checkpoint."""
    fitted = run(["fit", "--config", recipe, "--seed_everything", str(seed), *options])
    return fitted.trainer.checkpoint_callback.path


def _test(recipe: str, checkpoint: Path) -> tuple[dict[str, float], int]:
    """Metrics of a checkpoint on the recipe's test split, without ``test/``, and the split's images of domain b."""
    tested = run(["test", "--config", recipe, "--ckpt_path", str(checkpoint), "--trainer.logger", "false"])
    metrics = {k.removeprefix("test/"): float(v) for k, v in tested.trainer.callback_metrics.items()}
    return metrics, tested.datamodule.splits["test"].lengths()[1]


def adapt(recipe: str, seed: int = 0) -> AdaptationTable:
    """Train a method, then the classifiers "source only", "adapted" by this method and "target only"; test all four.

    Args:
        recipe: path of the method's recipe; the classifiers take theirs from the zoo.
        seed: of all four trainings.
    """
    checkpoint = _train(recipe, seed)
    method, _ = _test(recipe, checkpoint)
    accuracy, images = {}, 0
    for row, name in ROWS.items():
        options = ["--model.translator", str(checkpoint)] if row == "adapted" else []
        classifier = hub.find_recipe(name)
        metrics, images = _test(str(classifier), _train(str(classifier), seed, *options))
        accuracy[row] = metrics["accuracy_b"]
    shown = ("mse_a2b", "mse_b2a", "cycle_max_a", "cycle_max_b", "bits_per_dim_a", "bits_per_dim_b")
    return AdaptationTable({k: method[k] for k in shown if k in method}, accuracy, images, checkpoint, Path("runs"))
