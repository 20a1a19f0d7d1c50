"""What takes several runs: the domain adaptation table, and embeddings of a whole dataset."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from crossdomain import hub, serialization
from crossdomain.callbacks import RoundCheckpoint
from crossdomain.capabilities import Encodes
from crossdomain.checks import can_write
from crossdomain.commands.errors import find_class
from crossdomain.commands.lightning import ZooCLI, run
from crossdomain.datamodules import DomainData, DrawSampler, make_loader
from crossdomain.domains import domains_in
from crossdomain.method import Method

BEFORE = {
    "source only": "classifier_source",
    "+ augmentation": "classifier_augmented",
    "self-trained": "classifier_selftrained",
}
"""Rows without a method, and their recipes."""

ADAPTED = {
    "adapted": "classifier_adapted",
    "adapted + feature stage": "adda",
    "adapted + self-training": "classifier_selftrained",
}
"""Rows of each method."""

BOUND = {"target only": "classifier_target"}
"""The row that reads the target's labels."""

REQUIRED = ("source only", "adapted", "target only")
"""Rows whose recipes have to be there; another one is left out where the data has no such recipe."""

JUDGES = (("source only", "accuracy_b2a", "accuracy_b"), ("target only", "accuracy_a2b", "accuracy_a"))
"""Rows whose classifiers judge translations, what that is called, and what they are right about without any."""

COPY = "a copy of the input"

SHOWN = ("accuracy_a2b", "accuracy_b2a", "mse_a2b", "mse_b2a", "cycle_max_a", "cycle_max_b",
         "bits_per_dim_a", "bits_per_dim_b", "certificate")  # fmt: skip


@dataclass
class AdaptationTable:
    """What :func:`adapt` measured, one value for each seed.

    Attributes:
        seeds: of the trainings.
        images: how many target images an accuracy is taken over.
        accuracy: on the target domain's test split, of each classifier, by row; rows of a method by ``(method, row)``.
        metrics: of each method on the test split, by ``(method, tag)``, and of copying the input.
        checkpoints: of each trained method, by its recipe's name.
        logs: where TensorBoard finds all runs.
    """

    seeds: Sequence[int]
    images: int = 0
    accuracy: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    metrics: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    checkpoints: dict[str, list[Path]] = field(default_factory=dict)
    logs: Path = Path("runs")

    def __str__(self) -> str:
        several = len(self.seeds) > 1
        seeds = f"seed {self.seeds[0]}"
        if several:
            seeds = f"seeds {', '.join(map(str, self.seeds))}: mean, standard deviation, each"
        lines = [f"Accuracy on the target's test split ({self.images} images), {seeds}"]
        method = ""
        for (of, row), values in self.accuracy.items():
            lines += [f"  by {of}"] if of not in ("", method) else []
            method = of
            lines.append(f"  {'  ' * bool(of) + row:<27}{_numbers(values)}")
        for of in dict.fromkeys(by for by, _ in self.metrics):
            lines += ["", f"{of} on the test split, scale [-1, 1]"]
            lines += [f"  {tag:<27}{_numbers(values)}" for (by, tag), values in self.metrics.items() if by == of]
            lines += [f"  checkpoint  {path}" for path in self.checkpoints.get(of, [])]
        return "\n".join([*lines, "", f"Logs  tensorboard --logdir {self.logs}"])


def _numbers(values: Sequence[float]) -> str:
    """One value, or mean, standard deviation and all of them."""
    several = [mean(values), stdev(values)] if len(values) > 1 else []
    form = "8.2g" if max(map(abs, values)) < 1e-3 else "8.3f"
    return "".join(f"{value:{form}}" for value in [*several, *values])


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


def recipes_beside(recipe: str) -> dict[str, str]:
    """The recipe of each row, on the data that a method's recipe ends its name with."""
    data = Path(recipe).stem.partition("_")[2]
    suffix = f"_{data}" if data else ""
    rows = BEFORE | ADAPTED | BOUND
    found = {}
    for row, name in rows.items():
        try:
            found[row] = str(hub.find_recipe(f"{name}{suffix}"))
        except FileNotFoundError:
            if row in REQUIRED:
                required = ", ".join(rows[row] for row in REQUIRED)
                raise FileNotFoundError(
                    f"There are no classifier recipes for {Path(recipe).name!r}.\n"
                    f"A recipe <method>_<data>.yaml goes with {required}, each followed by _<data>.yaml."
                ) from None
    own, theirs = (_data_of(file) for file in (recipe, found["source only"]))
    if own != theirs:
        raise ValueError(
            f"The recipe {Path(recipe).name!r} trains on {own}, the classifiers of its table on {theirs}.\n"
            "Give a recipe that trains on data with labels, such as alignflow or cyclegan_mnist_usps."
        )
    return found


def _data_of(recipe: str) -> str | None:
    """The name of the class of a recipe's data."""
    data = hub.read_recipe(recipe).get("data")
    path = data.get("class_path") if isinstance(data, dict) else data
    return None if path is None else str(path).rpartition(".")[2]


class Trainings:
    """The trainings of one seed, each announced in a line, and what they have to do with each other."""

    labels = ("--data.labelled", "[a]")  # what all but the bound are trained with

    def __init__(self, table: AdaptationTable, recipes: dict[str, str], seed: int, total: int) -> None:
        self.table = table
        self.recipes = recipes
        self.seed = seed
        self.total = total
        self.done = table.seeds.index(seed) * total
        self.checkpoints: dict[str, Path] = {}
        self.data: DomainData  # of the last test

    def train(self, name: str, recipe: str, *options: str) -> Path:
        """Train by a recipe; returns the last checkpoint."""
        self.done += 1
        count = f"[{self.done}/{self.total * len(self.table.seeds)}]"
        print(f"{count} seed {self.seed}: {name} (lightning fit --config {Path(recipe).stem})", file=sys.stderr)
        return saved_by(run(["fit", "--config", recipe, "--seed_everything", str(self.seed), *options]))

    def row(self, row: str, *options: str, method: str = "", recipe: str = "") -> None:
        """Train and test the classifier of a row, by ``recipe`` or that of the row; without one there is no row."""
        recipe = recipe or self.recipes.get(row, "")
        if not recipe:
            return
        labels = () if row in BOUND else self.labels
        name = f"{row}, by {method}" if method else row
        checkpoint = self.checkpoints[row] = self.train(name, recipe, *options, *labels)
        metrics, self.data = measure(recipe, checkpoint, *options)
        self.table.images = self.data.splits["test"].lengths()[1]
        self.table.accuracy.setdefault((method, row), []).append(metrics["accuracy_b"])
        for judge, tag, known in JUDGES:
            if row == judge:  # what it says of the other domain's images is what it says of copies
                self.table.metrics.setdefault((COPY, tag), []).append(metrics[known])
        print(f"    accuracy_b {metrics['accuracy_b']:.3f}", file=sys.stderr)

    def before(self) -> None:
        """Train and test the rows without a method."""
        self.row("source only")
        self.row("+ augmentation")
        self.row("self-trained", *self.start("+ augmentation"))

    def start(self, row: str) -> tuple[str, ...]:
        """The option that lets a classifier start where that of a row ended."""
        return ("--model.start_from", str(self.checkpoints[row])) if row in self.checkpoints else ()

    def method(self, recipe: str, guide: str | None, *options: str) -> None:
        """Train a method and the classifiers that learn from its translations, or one that classifies by itself."""
        name = Path(recipe).stem
        if _takes(recipe, "start_from"):
            self.row("adapted", *self.start("source only"), *options, method=name, recipe=recipe)
            return
        guided: tuple[str, ...] = ()
        if guide is not None:
            guided = ("--model.semantic_classifier", str(self.checkpoints[guide]))
        checkpoint = self.checkpoints[recipe] = self.train(name, recipe, *guided, *options, *self.labels)
        self.table.checkpoints.setdefault(name, []).append(checkpoint)
        options = (*options, "--model.translator", str(checkpoint))
        self.row("adapted", *options, method=name)
        options = (*options, *self.start("adapted"))
        self.row("adapted + feature stage", *options, method=name)
        self.row("adapted + self-training", *options, "--model.train_on", "a2b", method=name)

    def test(self, recipe: str) -> None:
        """What a method's translations are like; classifiers that were trained on either domain's labels judge them."""
        options = [(f"--trainer.callbacks.judge_{tag[-1]}", str(self.checkpoints[row])) for row, tag, _ in JUDGES]
        evaluation = ("--trainer.callbacks", "Evaluation", *chain(*options))
        metrics, _ = measure(recipe, self.checkpoints[recipe], *evaluation)
        for tag in SHOWN:
            if tag in metrics:
                self.table.metrics.setdefault((Path(recipe).stem, tag), []).append(metrics[tag])


def _method_of(recipe: str) -> type | None:
    """The class of a recipe's method, where it can be told before it is made."""
    model = hub.read_recipe(recipe).get("model")
    return find_class(str(model.get("class_path") if isinstance(model, dict) else model))


def _takes(recipe: str, option: str) -> bool:
    """Whether the class of a recipe's method has an option."""
    cls = _method_of(recipe)
    return cls is not None and option in serialization.parameters(cls)


def adapt(
    recipes: Sequence[str],
    seeds: Sequence[int] = (0,),
    semantic: str | None = None,
    match_frequencies: bool = False,
) -> AdaptationTable:
    """Train methods, and classifiers without them, by their translations and on the target; test all.

    The rows, where the zoo has recipes for them: a classifier of the source as it is, with augmented images, and
    trained further by itself on the target's images; of each method a classifier of translations, the same after
    ADDA's feature stage, and after self-training; the bound, a classifier of the target. A method that classifies by
    itself starts at the first and has one row, "adapted". The target's labels are handed out to the bound alone; to the
    others in the test.

    Args:
        recipes: paths of the methods' recipes, ``<method>.yaml`` or ``<method>_<data>.yaml``, all on the same data; the
            classifiers take the zoo's recipes for it.
        seeds: each is that of all trainings once.
        semantic: the row, ``source only``, ``+ augmentation`` or ``self-trained``, whose classifier the methods get for
            semantic consistency; None for none.
        match_frequencies: draw the source's classes as often as the self-trained classifier sees them in the target's
            training images, wherever translations are learnt or learnt from.

    Raises:
        ValueError: the recipes are of several data, or a row that is needed has no recipe.
    """
    beside = {recipe: recipes_beside(recipe) for recipe in recipes}
    of_rows = beside[recipes[0]]
    if any(other != of_rows for other in beside.values()):
        names = ", ".join(Path(recipe).stem for recipe in recipes)
        raise ValueError(
            f"The recipes {names} are of different data.\nGive those of one <data>, or one after the other."
        )
    for option, given in (("--seeds", list(seeds)), ("--config", [Path(recipe).stem for recipe in recipes])):
        if len(set(given)) < len(given):
            raise ValueError(f"{option} names one twice: {', '.join(map(str, given))}.\nGive each once.")
    for row in {semantic, "self-trained" if match_frequencies else None} - {None}:
        if row not in BEFORE or row not in of_rows:
            known = ", ".join(repr(known) for known in BEFORE if known in of_rows)
            raise ValueError(
                f"This data has no recipe for the row {row!r}, but for {known}.\nAsk for none, or for one of these."
            )
    guided = [recipe for recipe in recipes if _takes(recipe, "semantic_classifier")]
    for recipe in recipes:
        if semantic is not None and recipe not in guided and not (guided and _takes(recipe, "start_from")):
            raise ValueError(f"{Path(recipe).stem} has no semantic consistency.\nLeave --semantic out, or this recipe.")
        cls = _method_of(recipe)
        if cls is not None and getattr(cls, "guide", None) == "required" and not _takes(recipe, "start_from"):
            raise ValueError(
                f"{Path(recipe).stem} translates after a guide, which the table has none of.\n"
                "Give the recipe of a method that translates without one."
            )
    table = AdaptationTable(tuple(seeds))
    shared = [row for row in of_rows if row not in ADAPTED]
    trainings_of = {recipe: 1 if _takes(recipe, "start_from") else 1 + len(of_rows) - len(shared) for recipe in recipes}
    for seed in seeds:
        trainings = Trainings(table, of_rows, seed, len(shared) + sum(trainings_of.values()))
        trainings.before()
        options: list[str] = []
        if match_frequencies:
            found = class_frequencies(trainings.checkpoints["self-trained"], trainings.data)
            options += ["--data.frequencies_a", str(found)]
        for recipe in recipes:
            trainings.method(recipe, semantic, *options)
        trainings.row("target only")
        for recipe in recipes:
            if recipe in trainings.checkpoints:
                trainings.test(recipe)
    table.accuracy[("", "target only")] = table.accuracy.pop(("", "target only"))  # the last row
    return table


@torch.no_grad()
def class_frequencies(checkpoint: str | Path, data: DomainData) -> list[float]:
    """How often a classifier sees each class in the training images of domain b; their labels are not read.

    Args:
        checkpoint: path of the classifier.
        data: has the images.

    Returns:
        The mean of its probabilities, a number for each class, which add up to 1.
    """
    classifier: Any = hub.load(checkpoint)
    dataset = data.split("train").without_labels("b")
    sampler = DrawSampler(dataset.lengths(), training=False)
    batches = (batch["b"] for batch in make_loader(dataset, sampler, batch_size=1000) if "b" in batch)
    probabilities = torch.cat([classifier.classify(images, "b").softmax(1) for images in batches])
    return [round(value, 6) for value in probabilities.mean(0).tolist()]


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
