"""Methods side by side: the same data, metrics and pictures for any members of the zoo and any runs."""

from __future__ import annotations

import csv
import io
import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from crossdomain import hub
from crossdomain.capabilities import Scores
from crossdomain.checks import can_write
from crossdomain.domains import DataSpec, Described, partners, with_truths
from crossdomain.evaluation import Evaluation
from crossdomain.evaluation.grid import labelled_columns
from crossdomain.method import Batch, Method
from crossdomain.rivals import rivals

Format = Literal["table", "markdown", "csv", "json"]


@dataclass
class Comparison:
    """What :func:`compare` measured.

    Attributes:
        data: what the methods were evaluated on.
        split: ``test`` or ``val``.
        metrics: by member, metrics by tag, without the name of the split.
        rivals: the same of what knows nothing (:mod:`crossdomain.rivals`): copies of the input, the mean image, ...
        not_applicable: why the other members cannot be evaluated on this data.
        logs: where TensorBoard finds the scalars, one row a member under HParams, and the panel.
    """

    data: str
    split: str
    logs: Path
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    rivals: dict[str, dict[str, float]] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)

    def tags(self) -> list[str]:
        """All tags that any member has, in the order of their names."""
        return sorted({tag for values in self.metrics.values() for tag in values})

    def render(self, form: Format = "table") -> str:
        """The table, as text.

        Args:
            form: ``table`` for a terminal, which has metrics down and members across as long as that is narrower;
                ``markdown`` and ``csv`` have members down and metrics across; ``json`` holds everything, unrounded.
        """
        if form == "json":
            return json.dumps(
                {
                    "data": self.data,
                    "split": self.split,
                    "metrics": self.metrics,
                    "rivals": self.rivals,
                    "not_applicable": self.not_applicable,
                },
                indent=2,
            )
        header = ["", *self.tags()]
        values_of = {**self.metrics, **self.rivals}
        rows = [[name, *(_number(values.get(tag)) for tag in self.tags())] for name, values in values_of.items()]
        if form == "csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([["method", *self.tags()], *rows])
            return text.getvalue().rstrip("\n")
        if form == "markdown":
            lines = [header, ["---"] * len(header), *rows]
            return "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n".join([f"{self.data}, {self.split} split", *_aligned(list(zip(header, *rows, strict=True)))])

    def __str__(self) -> str:
        missing = [f"not applicable: {name}: {reason}" for name, reason in self.not_applicable.items()]
        return "\n".join([self.render(), *missing, f"Logs  tensorboard --logdir {self.logs}"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def find_members(names: Sequence[str]) -> dict[str, Path]:
    """Checkpoints by the names that a table shows them under.

    Args:
        names: names of the zoo, paths of checkpoints, or folders of runs, whose last checkpoint is taken; all of the
            zoo when there are none.

    Raises:
        FileNotFoundError: one of them names no checkpoint.
    """
    found: dict[str, Path] = {}
    for name in names or hub.list_checkpoints():
        path = Path(name)
        if path.is_dir():
            checkpoints = sorted(path.glob("checkpoints/*.ckpt")) or sorted(path.glob("*.ckpt"))
            if not checkpoints:
                raise FileNotFoundError(
                    f"The run {str(name)!r} has no checkpoint.\nGive a folder such as runs/alignflow/version_0."
                )
            last = [file for file in checkpoints if file.stem == "last"]
            label, checkpoint = "-".join(path.resolve().parts[-2:]), (last or checkpoints)[-1]
        else:
            checkpoint = hub.find_checkpoint(name)
            label = path.stem if path.is_file() else str(name)
        while label in found:
            label += "'"
        found[label] = checkpoint
    return found


def _misfit(method: Method, given: DataSpec) -> str | None:
    """Why ``method`` cannot be evaluated on data like this, or None where it can."""
    trained = method.spec
    if trained.domains != given.domains:
        return f"trained on {' and '.join(trained.domains)}, the data has {' and '.join(given.domains)}"
    if trained.channels != given.channels:
        return f"trained on {list(trained.channels)} channels, the data has {list(given.channels)}"
    if given.image_size is not None and given.image_size % method.total_stride:
        return f"takes sides that are multiples of {method.total_stride}, the data has {given.image_size} px"
    if not method.directions and not isinstance(method, Scores):
        return f"a {type(method).__name__} does not translate"
    return None


def compare(
    names: Sequence[str],
    data: LightningDataModule,
    split: Literal["test", "val"] = "test",
    evaluation: Evaluation | None = None,
    logs: str | Path = "runs/compare",
    pictures: int = 6,
    device: str = "cpu",
) -> Comparison:
    """Evaluate members on the same data by the same metrics, and write all of it to TensorBoard.

    Args:
        names: see :func:`find_members`.
        data: the datamodule, such as ``Digits()``.
        split: which of its splits.
        evaluation: with options of one's own, such as ``judge_b``.
        logs: folder for TensorBoard; earlier comparisons there stay.
        pictures: inputs in the panel, the first of the split; 0 leaves it out.
        device: accelerator of the Trainer, ``cpu`` or ``gpu``.

    Returns:
        Metrics by member, and who was not applicable and why.

    Raises:
        FileNotFoundError: a name that names no checkpoint, or missing data.
        ValueError: no member fits the data, or it does not say what it is like; a negative number of pictures.
    """
    if pictures < 0:
        raise ValueError(f"pictures is {pictures}, but has to be at least 0.")
    if not isinstance(data, Described):
        raise ValueError(
            f"{type(data).__name__} does not say what its data is like, so nobody can tell which members fit it.\n"
            "Give it a method spec, as DomainData has, or other data."
        )
    given = DataSpec.from_plain(data.spec())
    can_write(logs)
    members = find_members(names)
    result = Comparison(type(data).__name__, split, Path(logs))
    evaluation = evaluation or Evaluation(pictures=0)
    columns: dict[str, list[tuple[str, Tensor]]] = {}
    batch: Batch = {}
    fitting: list[Method] = []
    for name, checkpoint in members.items():
        method = hub.load(checkpoint)
        if (reason := _misfit(method, given)) is not None:
            result.not_applicable[name] = reason
            continue
        fitting.append(method)
        result.metrics[name] = _evaluate(name, method, data, split, evaluation, device, logs)
        if pictures:
            loader = data.test_dataloader() if split == "test" else data.val_dataloader()
            batch = batch or with_truths(next(iter(loader)))
            _add_columns(columns, name, method, batch, pictures)
    if not result.metrics:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in result.not_applicable.items())
        raise ValueError(f"No member fits {result.data}.\n{reasons}\nGive other members, or other data.")
    try:
        data.setup("fit")
        loader = data.train_dataloader()
    except (FileNotFoundError, ValueError) as error:  # no training split, or one of fewer images than a batch
        result.not_applicable["mean-image, random-image"] = str(error).splitlines()[0]
        loader = None
    for name, rival in rivals(given, fitting, loader).items():
        result.rivals[name] = _evaluate(name, rival, data, split, evaluation, device, logs)
    panel = TensorBoardLogger(logs, name="", version="panel", default_hp_metric=False)
    for direction, shown in columns.items():
        panel.experiment.add_image(f"{split}/panel_{direction}", labelled_columns(shown), 0)
    panel.finalize("success")
    return result


def _evaluate(
    name: str,
    method: Method,
    data: LightningDataModule,
    split: str,
    evaluation: Evaluation,
    device: str,
    logs: str | Path,
) -> dict[str, float]:
    """Metrics of a method by tag; they and what it is go to TensorBoard as well."""
    seed_everything(0, verbose=False)  # methods that draw get the same draws
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = Trainer(
        accelerator=device,
        devices=1,
        callbacks=[evaluation],
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (metrics,) = (trainer.test if split == "test" else trainer.validate)(method, data, verbose=False)
    entries: dict[str, Any] = {"checkpoint": name, "method": type(method).__name__, "data": type(data).__name__}
    entries |= {"parameters": sum(p.numel() for p in method.parameters()), "images_seen": method.images_seen}
    logger = TensorBoardLogger(logs, name="", version=name, default_hp_metric=False)
    logger.log_hyperparams(entries, {tag: float(value) for tag, value in metrics.items()})
    logger.finalize("success")
    return {tag.removeprefix(f"{split}/"): float(value) for tag, value in metrics.items()}


@torch.no_grad()
def _add_columns(
    columns: dict[str, list[tuple[str, Tensor]]],
    name: str,
    method: Method,
    batch: Batch,
    pictures: int,
) -> None:
    """Add a member's translations of the first pictures; the first member of a direction brings input and truth."""
    for direction in method.directions:
        source = direction.source
        if batch.get(source) is None or batch[source].ndim != 4:
            continue
        images = batch[source][:pictures]
        shown = columns.setdefault(direction, [])
        if not shown:
            shown.append((method.spec.names[source], images))
            if f"truth_{direction}" in batch:
                shown.append(("truth", batch[f"truth_{direction}"][:pictures]))
        guide = None
        if method.guide == "required":
            guide = partners(batch, direction, range(len(images)))
            if guide is None:
                continue
        shown.append((name, method.translate(images.to(method.device), direction, guide=guide, seed=0).cpu()))
