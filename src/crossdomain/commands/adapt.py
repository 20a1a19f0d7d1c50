"""What takes several runs: the domain adaptation table, and embeddings of a whole dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from crossdomain import hub, serialization
from crossdomain.callbacks import RoundCheckpoint
from crossdomain.capabilities import Encodes
from crossdomain.checks import can_write
from crossdomain.commands.lightning import ZooCLI, run
from crossdomain.datamodules import DomainData, DrawSampler, make_loader
from crossdomain.domains import domains_in
from crossdomain.method import Method

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
    return saved_by(fitted)


def saved_by(fitted: ZooCLI) -> Path:
    """The last checkpoint of a training.

    Raises:
        ValueError: its recipe keeps them by another callback than the zoo's.
    """
    keeper = fitted.trainer.checkpoint_callback
    if not isinstance(keeper, RoundCheckpoint) or keeper.path is None:
        raise ValueError(
            f"The training kept no checkpoint by RoundCheckpoint, but by {type(keeper).__name__}.\n"
            "Leave other checkpoints, and trainer.enable_checkpointing, out of the recipe."
        )
    return keeper.path


def measure(recipe: str, checkpoint: str | Path, *options: str) -> tuple[dict[str, float], DomainData]:
    """What ``lightning test`` finds on a recipe's test split.

    Args:
        recipe: path of the recipe.
        checkpoint: path of a checkpoint, or its name in the zoo.
        options: further ones of ``lightning test``.

    Returns:
        The metrics by tag, without ``test/``, and the data.
    """
    options = ("--trainer.logger", "false", "--verbose", "false", *options)
    tested = run(["test", "--config", recipe, "--ckpt_path", str(checkpoint), *options])
    metrics = {tag.removeprefix("test/"): float(value) for tag, value in tested.trainer.callback_metrics.items()}
    return metrics, tested.datamodule


def _classifier_recipes(recipe: str) -> dict[str, str]:
    """The recipe of each row's classifier, on the data that a method's recipe ends its name with."""
    data = Path(recipe).stem.partition("_")[2]
    suffix = f"_{data}" if data else ""
    try:
        recipes = {row: str(hub.find_recipe(f"{name}{suffix}")) for row, name in ROWS.items()}
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There are no classifier recipes for {Path(recipe).name!r}.\n"
            f"A recipe <method>_<data>.yaml goes with {', '.join(ROWS.values())}, each followed by _<data>.yaml."
        ) from None
    own, theirs = (_data_of(file) for file in (recipe, recipes["source only"]))
    if own != theirs:
        raise ValueError(
            f"The recipe {Path(recipe).name!r} trains on {own}, the classifiers of its table on {theirs}.\n"
            "Give a recipe that trains on data with labels, such as alignflow or cyclegan_mnist_usps."
        )
    return recipes


def _data_of(recipe: str) -> str | None:
    """The name of the class of a recipe's data."""
    data = hub.read_recipe(recipe).get("data")
    path = data.get("class_path") if isinstance(data, dict) else data
    return None if path is None else str(path).rpartition(".")[2]


def adapt(recipe: str, seed: int = 0, semantic: bool = False) -> AdaptationTable:
    """Train a method, and classifiers "source only", "adapted" by this method and "target only"; test all four.

    Args:
        recipe: path of the method's recipe, ``<method>.yaml`` or ``<method>_<data>.yaml``; the classifiers take the
            zoo's recipes for the same data.
        seed: of all four trainings.
        semantic: give the method the classifier "source only" for semantic consistency.
    """
    recipes = _classifier_recipes(recipe)
    accuracy, images = {}, 0

    def train_and_test(row: str, *options: str) -> Path:
        nonlocal images
        checkpoint = _train(recipes[row], seed, *options)
        metrics, data = measure(recipes[row], checkpoint, *options)
        images = data.splits["test"].lengths()[1]
        accuracy[row] = metrics["accuracy_b"]
        return checkpoint

    source = train_and_test("source only")
    checkpoint = _train(recipe, seed, *(["--model.semantic_classifier", str(source)] if semantic else []))
    method, _ = measure(recipe, checkpoint)
    train_and_test("adapted", "--model.translator", str(checkpoint))
    train_and_test("target only")
    shown = ("mse_a2b", "mse_b2a", "cycle_max_a", "cycle_max_b", "bits_per_dim_a", "bits_per_dim_b", "certificate")
    return AdaptationTable({k: method[k] for k in shown if k in method}, accuracy, images, checkpoint, Path("runs"))


@torch.no_grad()
def embed(recipe: str, checkpoint: str, output: str | None = None, batch_size: int = 1000) -> tuple[Path, int]:
    """Encode the pictures of a recipe's data, all splits of all domains, and write them for ``Embeddings``.

    Args:
        recipe: path of the recipe that the encoder was trained by.
        checkpoint: path of the encoder: a method that has ``encode``, such as ``SharedAutoencoder``.
        output: file to write; ``embeddings/<data>.pt`` below the data's root when left out, with the recipe's name
            being ``<method>_<data>.yaml``.
        batch_size: pictures encoded together.

    Returns:
        The file, and the length of an embedding.
    """
    if output is not None:
        can_write(Path(output).parent)
        if Path(output).is_dir():
            raise IsADirectoryError(f"{output!r} is a folder, expected a file to write.")
    tested = run(["test", "--config", recipe, "--ckpt_path", checkpoint, "--trainer.logger", "false"])
    method, data = tested.model.eval(), tested.datamodule
    if not (isinstance(method, Method) and isinstance(method, Encodes)):
        raise ValueError(f"{checkpoint!r} is a {type(method).__name__}, which cannot encode.\nGive an autoencoder.")
    splits: dict[str, dict[str, dict]] = {}
    for name in ("train", "val", "test"):
        dataset = data.split(name)
        sampler = DrawSampler(dataset.lengths(), training=False)
        parts: dict[str, dict[str, list]] = {letter: {} for letter in method.spec.letters}
        for batch in make_loader(dataset, sampler, batch_size=batch_size):
            for domain in domains_in(batch):
                vectors = method.encode(batch[domain].to(method.device), domain).flatten(1).cpu()
                parts[domain].setdefault(domain, []).append(vectors)
                if (label := f"label_{domain}") in batch:
                    parts[domain].setdefault(label, []).append(batch[label])
        splits[name] = {d: {key: torch.cat(values) for key, values in part.items()} for d, part in parts.items()}
    path = Path(output or data.root / "embeddings" / f"{Path(recipe).stem.partition('_')[2]}.pt")
    serialization.write_plain({"domains": list(data.domains), "splits": splits}, path)
    return path, splits["train"]["a"]["a"].shape[1]
