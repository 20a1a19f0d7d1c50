"""The callback that measures every method by the same probes, in validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from crossdomain.capabilities import Classifies, PredictsAttributes, Segments, Translates
from crossdomain.checks import at_least
from crossdomain.companion import Companion
from crossdomain.datamodules.loading import DrawLoader
from crossdomain.domains import LETTERS, DataSpec, Described, Direction, Places
from crossdomain.evaluation import pictures as drawing
from crossdomain.evaluation.measured import MeasuredBatch
from crossdomain.evaluation.probe import Probe
from crossdomain.evaluation.probes import make_probes
from crossdomain.headlines import headlines


class Evaluation(Callback):
    """Measures a method by what it offers and what the batch holds, under the same names for all.

    What is measured, and when, is the table of `docs/metrics.md`, that of the zoo's probes. Networks of judges,
    segmenters, predictors and features live here, not in the method's state. Once an epoch, the first images of the
    val split go to TensorBoard as one grid, see :func:`crossdomain.evaluation.pictures.draw`. So they do before the
    training, as step 0. The HParams tab gets one row for each run.

    Args:
        pictures: columns of the grid; 0 leaves it out.
        judge_a: path of a classifier's checkpoint, for ``accuracy_b2a``.
        judge_b: path of a classifier's checkpoint, for ``accuracy_a2b``.
        judges: the same for any domain: its letter to the path of a classifier's checkpoint.
        judge_distances: compute ``frechet_judge`` and ``kernel_judge``: the distances that ``fid`` and ``kid`` are, on
            the features of the judges (of photos that have none, the segmenter), with no download. They compare methods
            under one judge at equal numbers of images, and nothing else; neither is comparable with FID or KID.
        segmenter: path of a segmenter's checkpoint, trained on data of the same palette, for ``pixel_accuracy``,
            ``class_accuracy`` and ``class_iou`` of the direction from labels to photos.
        predictor: path of an attribute predictor's checkpoint, trained on the same attributes, for ``acc`` and
            ``translation_quality`` and what goes with them, of methods that take a guide: the image of the other domain
            at the same place of the batch.
        samples: outputs for one input that ``diversity`` compares.
        coverage_samples: outputs for one input that ``modes_covered`` looks at, where a method has more than one.
        mode_radius: root mean squared distance, on [-1, 1], within which a true answer counts as covered; the
            default is half the smallest distance that there is between two styles of ``ToyFacades``.
        cycle_noise: sigma of ``sn``, on the scale [-1, 1]; the noise is the same for all images. 0 leaves ``sn`` and
            ``rh`` out, each of which costs one more translation.
        jacobian: images of each domain at which ``jacobian_min`` and ``jacobian_max`` are computed, which takes seconds
            for each; 0 leaves them out.
        fid: compute ``fid`` and ``kid``; needs the extra ``[fid]``, which downloads Inception weights.
        lpips: compute ``lpips_diversity``; torchvision downloads AlexNet's weights.
        probes: what else is measured, by probes of one's own; the attribute holds the zoo's and these.
    """

    def __init__(
        self,
        pictures: int = 8,
        judge_a: str | None = None,
        judge_b: str | None = None,
        judge_distances: bool = False,
        segmenter: str | None = None,
        predictor: str | None = None,
        samples: int = 4,
        coverage_samples: int = 20,
        mode_radius: float = 0.2,
        cycle_noise: float = 0.1,
        jacobian: int = 0,
        fid: bool = False,
        lpips: bool = False,
        judges: dict[str, str] | None = None,
        probes: list[Probe] | None = None,
    ) -> None:
        at_least(0, self, pictures=pictures, mode_radius=mode_radius, cycle_noise=cycle_noise, jacobian=jacobian)
        at_least(1, self, samples=samples, coverage_samples=coverage_samples)
        self.pictures = pictures
        options = {
            "judges": _judges({"a": judge_a, "b": judge_b}, judges or {}),
            "judge_distances": judge_distances,
            "segmenter": None if segmenter is None else Companion(segmenter, "segmenter", Segments),
            "predictor": None if predictor is None else Companion(predictor, "predictor", PredictsAttributes),
            "samples": samples,
            "coverage_samples": coverage_samples,
            "mode_radius": mode_radius,
            "cycle_noise": cycle_noise,
            "jacobian": jacobian,
            "fid": fid,
            "lpips": lpips,
        }
        self.probes = [*make_probes(options), *(probes or [])]
        _refuse_doubled(self.probes)
        self._grid: Tensor | None = None
        self._hyperparameters_logged = False
        self._places = Places()

    # --- measuring ---------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the probes read what they need beside the method."""
        if not isinstance(pl_module, Translates):
            raise ValueError(f"Evaluation measures methods of the zoo, but a {type(pl_module).__name__} is none.")
        for probe in self.probes:
            probe.setup()

    def _begin(self, trainer: Trainer, method: Any) -> None:
        data: object = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        spec = DataSpec.from_plain(data.spec()) if isinstance(data, Described) else None
        for probe in self.probes:
            probe.check(method, spec)
            probe.begin(method, method.device)
        self._places = Places(trainer.global_rank, trainer.world_size)

    @torch.no_grad()
    def _measure(self, trainer: Trainer, method: Any, batch: Mapping[str, Any]) -> None:
        def draws(direction: Direction) -> int:
            return max(probe.draws(measured, direction) for probe in probes)

        probes = self.probes
        measured = MeasuredBatch(method, batch, self._places.next(batch), dataset_of(trainer), draws)
        probes = [probe for probe in probes if probe.applies(method, measured.spec, measured)]
        for probe in probes:
            probe.update(measured)

    def _finish(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        results = self._results(trainer.world_size)
        first = headlines(results)
        for name, value in results.items():
            module.log(f"{stage}/{name}", value, prog_bar=name in first, sync_dist=trainer.world_size > 1)

    def _results(self, processes: int) -> dict[str, Tensor]:
        if processes > 1:
            # A process may have seen no image of a domain; all have to compute the same metrics.
            gathered: list[list[list[tuple[str, str]]]] = [[] for _ in range(processes)]
            torch.distributed.all_gather_object(gathered, [probe.keys() for probe in self.probes])
            for of_one in gathered:
                for probe, keys in zip(self.probes, of_one, strict=True):
                    for kind, place in keys:
                        probe.metric(kind, place)
        results: dict[str, Tensor] = {}
        for probe in self.probes:
            found = probe.compute()
            if taken := results.keys() & found.keys():
                raise ValueError(f"{type(probe).__name__} measures {min(taken)!r}, as another probe does.\nRename one.")
            results |= found
        return dict(sorted(results.items()))

    def grid(self, module: Any, batch: Mapping[str, Any]) -> Tensor | None:
        """The first pictures of ``batch`` and what ``module`` makes of them.

        Returns:
            uint8 (3, height, width), or None when there is nothing to show.
        """
        return drawing.draw(module, batch, self.pictures)

    # --- Lightning's hooks -------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the probes check what they measure, and start anew."""
        self._begin(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The same."""
        self._begin(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the batch; draw the first one, before the training also."""
        self._measure(trainer, pl_module, batch)
        resumed = trainer.sanity_checking and pl_module.rounds > 0
        if batch_idx == 0 and self.pictures and trainer.is_global_zero and not resumed:
            self._grid = self.grid(pl_module, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Log the metrics of the val split, and the grid."""
        if not trainer.sanity_checking:
            self._finish(trainer, pl_module, "val")
        for logger in trainer.loggers:
            if self._grid is not None and isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/grid", self._grid, pl_module.rounds)
        self._grid = None

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Enter the run into the HParams tab, which then follows the metrics by their tags."""
        if trainer.sanity_checking or self._hyperparameters_logged:
            return
        self._hyperparameters_logged = True
        data: object = trainer.datamodule  # type: ignore[attr-defined]
        hyperparameters = {k: v for k, v in pl_module.hparams.items() if not k.startswith("_")}
        hyperparameters |= {"method": type(pl_module).__name__, "data": type(data).__name__}
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(hyperparameters, metrics, step=pl_module.rounds)
            else:
                logger.log_hyperparams(hyperparameters)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the batch."""
        self._measure(trainer, pl_module, batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of the test split."""
        self._finish(trainer, pl_module, "test")


def _refuse_doubled(probes: Sequence[Probe]) -> None:
    """Refuse probes that would log one tag, before anything is measured."""
    owners: dict[str, Probe] = {}
    for probe in probes:
        for name in {name for tag in probe.tags for name in tag.names.split()}:
            if (other := owners.setdefault(name, probe)) is not probe:
                raise ValueError(
                    f"The probes {type(other).__name__} and {type(probe).__name__} both measure {name!r}.\nRename one."
                )


def _judges(named: Mapping[str, str | None], others: Mapping[str, str]) -> dict[str, Companion]:
    """Classifiers by the letter of their domain, which was given by an option of its own or among others."""
    found = {letter: (f"judge_{letter}", path) for letter, path in named.items() if path is not None}
    for letter, path in others.items():
        if len(letter) != 1 or letter not in LETTERS:
            raise ValueError(f"judges has the key {letter!r}, expected the letter of a domain, such as c.")
        if letter in found:
            raise ValueError(f"There are two judges of domain {letter}: judge_{letter} and judges.\nGive one of them.")
        found[letter] = (f"judges.{letter}", path)
    return {letter: Companion(path, option, Classifies) for letter, (option, path) in found.items()}


def logged_metric(trainer: Trainer, name: str, option: str) -> Tensor:
    """The metric ``name`` of the latest validation, for the ``option`` that names it.

    Raises:
        ValueError: there is no such metric; those that there are are named.
    """
    if name not in trainer.callback_metrics:
        known = sorted(metric for metric in trainer.callback_metrics if metric.startswith("val/"))
        raise ValueError(f"{option} is {name!r}, but the validation has no such metric.\nIt has: {', '.join(known)}.")
    return trainer.callback_metrics[name]


def dataset_of(trainer: Trainer) -> Any:
    """What is being evaluated, unless there are several."""
    if trainer.testing:
        loader = trainer.test_dataloaders
    else:
        loader = trainer.predict_dataloaders if trainer.predicting else trainer.val_dataloaders
    return loader.source if isinstance(loader, DrawLoader) else None
