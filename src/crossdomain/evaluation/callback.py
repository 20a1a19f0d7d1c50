"""Evaluation: the same metrics, tags and pictures for every method, in validation and test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchmetrics import MeanMetric, Metric

from crossdomain.capabilities import Classifies, PredictsAttributes, Segments
from crossdomain.checks import at_least
from crossdomain.companion import Companion
from crossdomain.datamodules.loading import DrawLoader
from crossdomain.domains import Direction, Places, clamped, partners
from crossdomain.evaluation.grid import labelled_grid, scatter_plots
from crossdomain.flows import dequantize
from crossdomain.headlines import headlines
from crossdomain.metrics import (
    AttributeAccuracy,
    BitsPerDim,
    ChannelCapacity,
    CycleError,
    Diversity,
    FeatureDistance,
    JacobianExtremes,
    ManipulationAccuracy,
    ModeCoverage,
    NeighbourAccuracy,
    NoiseSensitivity,
    ReconstructionHonesty,
    SegmentationScore,
    TranslationCorrectness,
    TranslationError,
)
from crossdomain.metrics.palette import nearest_class, nearest_colour

DIRECTIONS = {"a": "a2b", "b": "b2a"}


class Evaluation(Callback):
    """Measures a method by what it offers and what the batch holds, under the same names for all.

    ==============================  ===================================  ======================================
    tag, below ``val/``, ``test/``  when                                 what
    ==============================  ===================================  ======================================
    ``mse_a2b, psnr_a2b, ssim_a2b`` the batch has ``truth_b``            :class:`TranslationError`
    ``cycle_max_a, cycle_mean_a``   both directions, no guide            :class:`CycleError` of b2a(a2b(a))
    ``rh_a, sn_a``                  the same, images                     :class:`ReconstructionHonesty` of that cycle,
                                                                         :class:`NoiseSensitivity`
    ``bits_per_dim_a``              a of the ``densities``, images       :class:`BitsPerDim`, one draw of noise
    ``jacobian_min_a, ...max_a``    the same, asked for                  :class:`JacobianExtremes` of the flow
    ``log_prob_a``                  a of the ``densities``, vectors      mean, in nats
    ``gap_a, gap_b, certificate``   ``gap``                              means and their sum, in nats; the domains are
                                                                         aligned where it is 0
    ``capacity_bits_a``             ``encode`` and ``code_noise``        :class:`ChannelCapacity` of what is encoded
    ``accuracy_a2b``                ``label_a`` and a judge of b         of the judge on translated images
    ``neighbour_accuracy_a2b``      vectors, both labels                 :class:`NeighbourAccuracy` among b
    ``accuracy_a``                  ``classify`` and ``label_a``         of the method on images as they are
    ``pixel_accuracy_a2b``          palette of a, a segmenter            :class:`SegmentationScore` of the segmenter
                                    palette of b, ``truth_b``            the same by the nearest colours
    ``pixel_accuracy_a``            ``segment``, palette of ``truth_b``  of the method on images as they are
    ``diversity_a2b``               multimodal                           :class:`Diversity`
    ``reconstruction_mse_a2b``      ``accepts_guide``, ``truth_b``       the truth is the guide
    ``nearest_mse_a2b``             the batch has ``truths_b``           :class:`ModeCoverage`
    ``modes_covered_a2b``           the same                             of all samples of an input together
    ``reconstruction_mse_a``        ``reconstruct``                      :class:`TranslationError` of it
    ``acc_a2b, acc_NAME_a2b``       takes a guide, a predictor           :class:`ManipulationAccuracy`
    ``translation_quality_a2b``     the same                             :class:`TranslationCorrectness`
    ``accuracy_NAME_a``             ``predict_attributes``,              :class:`AttributeAccuracy` of the method on
                                    ``attributes_a``                     images as they are
    ``fid_a2b, kid_a2b``            asked for                            torchmetrics, Inception features
    ``frechet_judge_a2b``           asked for, a judge of b              :class:`FeatureDistance`, the judge's features
    ``kernel_judge_a2b``            the same                             the same
    ==============================  ===================================  ======================================

    and likewise with a and b exchanged; ``class_accuracy`` and ``class_iou`` go with ``pixel_accuracy``;
    ``content_preservation``, ``style_manipulation``, ``model_bias``, ``disentanglement`` with ``translation_quality``.
    Networks of judges, segmenters, predictors and features live here, not in the method's state. Once an epoch, the
    first images of the val split go to TensorBoard as one grid: input, translation, truth, and back; vectors as scatter
    plots of the first batch. So they do before the training, as step 0. The HParams tab gets one row for each run.

    Args:
        pictures: columns of the grid; 0 leaves it out.
        judge_a: path of a classifier's checkpoint, for ``accuracy_b2a``.
        judge_b: path of a classifier's checkpoint, for ``accuracy_a2b``.
        judge_distances: compute ``frechet_judge`` and ``kernel_judge``: the distances that ``fid`` and ``kid`` are, on
            the features of the judges, with no download. They compare methods under one judge at equal numbers of
            images, and nothing else; neither is comparable with FID or KID.
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
    ) -> None:
        at_least(0, self, pictures=pictures, mode_radius=mode_radius, cycle_noise=cycle_noise, jacobian=jacobian)
        at_least(1, self, samples=samples, coverage_samples=coverage_samples)
        self.pictures = pictures
        if judge_distances and judge_a is None and judge_b is None:
            raise ValueError(
                "judge_distances compares the features of a judge, but there is none.\nGive judge_a, judge_b or both."
            )
        self.judge_paths = {"a": judge_a, "b": judge_b}
        self.judges: dict[str, LightningModule] = {}
        self.judge_distances = judge_distances
        self.segmenter_path = segmenter
        self.segmenter: LightningModule | None = None
        self.predictor_path = predictor
        self.predictor: LightningModule | None = None
        self.samples = samples
        self.coverage_samples = coverage_samples
        self.mode_radius = mode_radius
        self.cycle_noise = cycle_noise
        self.jacobian = jacobian
        self.fid = fid
        self._metrics: dict[tuple[str, str], Metric] = {}
        self._grid: Tensor | None = None
        self._hyperparameters_logged = False
        self._places: Places | None = None

    # --- measuring ---------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the judges, the segmenter and the predictor."""
        for domain, path in self.judge_paths.items():
            if path is not None and domain not in self.judges:
                self.judges[domain] = Companion(path, f"judge_{domain}", Classifies).on()
        if self.segmenter_path is not None and self.segmenter is None:
            self.segmenter = Companion(self.segmenter_path, "segmenter", Segments).on()
        if self.predictor_path is not None and self.predictor is None:
            self.predictor = Companion(self.predictor_path, "predictor", PredictsAttributes).on()

    def _check_segmenter(self, module: Any) -> None:
        """Refuse a segmenter that was trained on other classes; the method knows its data only now."""
        if self.segmenter is None:
            return
        known, palette = self.segmenter.spec.palette, module.spec.palette
        if palette is None:
            raise ValueError("A segmenter scores data whose labels have a palette, which this data has not.")
        if known != palette:
            raise ValueError(
                f"segmenter is {self.segmenter_path!r}, trained on {_classes(known)},\n"
                f"but the palette of this data is {_classes(palette)}.\n"
                "Give a segmenter that was trained on this data, domains in the same order."
            )

    def _check_predictor(self, trainer: Trainer, module: Any) -> None:
        """Refuse a predictor of other attributes, and a method that was trained for other roles of them."""
        if self.predictor is None:
            return
        known, attributes = self.predictor.spec.attributes, module.spec.attributes
        if attributes is None or module.spec.roles is None:
            raise ValueError("A predictor scores data whose attributes have roles, such as Shapes; this data has none.")
        if known != attributes:
            raise ValueError(
                f"predictor is {self.predictor_path!r}, trained on the attributes {known},\n"
                f"but those of this data are {attributes}.\nGive a predictor that was trained on them."
            )
        roles = trainer.datamodule.spec()["roles"] if hasattr(trainer.datamodule, "spec") else None
        if roles not in (None, module.spec.roles):
            raise ValueError(
                f"The method was trained for the roles {module.data_spec['roles']},\n"
                f"but this data has {roles}.\nTest it on the split that it was trained on."
            )

    def _metric(self, kind: str, name: str, module: Any) -> Metric:
        if (kind, name) not in self._metrics:
            data = module.spec
            make: dict[str, Callable[[], Metric]] = {
                "translation": TranslationError,
                "reconstruction": TranslationError,
                "cycle": CycleError,
                "rh": ReconstructionHonesty,
                "sn": NoiseSensitivity,
                "bits_per_dim": lambda: BitsPerDim(data.levels),
                "jacobian": lambda: JacobianExtremes(self.jacobian),
                "capacity_bits": lambda: ChannelCapacity(module.code_noise),
                "accuracy": MeanMetric,
                "neighbour_accuracy": NeighbourAccuracy,
                "log_prob": MeanMetric,
                "gap": MeanMetric,
                "segmentation": lambda: SegmentationScore(len(data.palette["names"])),
                "diversity": Diversity,
                "coverage": lambda: ModeCoverage(self.mode_radius),
                "judge": FeatureDistance,
                "attributes": lambda: AttributeAccuracy(data.attributes),
                "manipulation": lambda: ManipulationAccuracy(data.attributes, data.roles, name),
                "correctness": lambda: TranslationCorrectness(data.attributes, data.roles, name),
                "fid": _fid,
                "kid": _kid,
            }
            self._metrics[kind, name] = make[kind]().to(module.device)
        return self._metrics[kind, name]

    @torch.no_grad()
    def _measure(self, module: Any, batch: dict[str, Any]) -> None:
        self._places = self._places or Places(module.trainer.global_rank, module.trainer.world_size)
        indices = self._places.next(batch)
        for source, target in (("a", "b"), ("b", "a")):
            direction, images = DIRECTIONS[source], batch.get(source)
            if direction in module.directions and target in batch:
                self._add_real(module, batch[target], direction)
            if images is None:
                continue
            if direction in module.directions:
                guide = (
                    partners(batch, Direction(direction), indices[source], dataset_of(module.trainer))
                    if module.guide == "required"
                    else None
                )
                if module.guide != "required" or guide is not None:
                    self._measure_direction(module, batch, direction, guide, indices[source])
            back = DIRECTIONS[target]
            if back in module.directions and images.ndim == 2 and f"label_{source}" in batch:
                neighbours = self._metric("neighbour_accuracy", back, module)
                neighbours.update(images, batch[f"label_{source}"], translated=False)
            if source in module.densities:
                noise = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0)).to(images)
                noisy = dequantize(images, module.spec.levels, noise)
                log_prob = module.log_prob(noisy, source)
                if images.ndim == 4:
                    self._metric("bits_per_dim", source, module).update(log_prob, images[0].numel())
                else:
                    self._metric("log_prob", source, module).update(log_prob)
                if self.jacobian > 0 and hasattr(module, "flow_of"):
                    self._metric("jacobian", source, module).update(module.flow_of(source), noisy)
                if hasattr(module, "gap"):
                    self._metric("gap", source, module).update(module.gap(noisy, source))
            if hasattr(module, "reconstruct"):
                self._metric("reconstruction", source, module).update(module.reconstruct(images, source), images)
            if getattr(module, "code_noise", 0) > 0:
                self._metric("capacity_bits", source, module).update(module.encode(images, source))
            if hasattr(module, "classify") and f"label_{source}" in batch:
                right = module.classify(images, source).argmax(1) == batch[f"label_{source}"]
                self._metric("accuracy", source, module).update(right.float())
            if hasattr(module, "segment") and target == module.spec.labels and f"truth_{direction}" in batch:
                self._score(module, source, module.segment(images).argmax(1), batch[f"truth_{direction}"])
            if hasattr(module, "predict_attributes") and f"attributes_{source}" in batch:
                predicted = module.predict_attributes(images)
                self._metric("attributes", source, module).update(predicted, batch[f"attributes_{source}"])

    def _measure_direction(
        self, module: Any, batch: dict[str, Any], direction: str, guide: Tensor | None, indices: list[int]
    ) -> None:
        source, target = direction.split("2")
        images, truths = batch[source], batch.get(f"truths_{direction}")
        count = max(self.samples, 1 if truths is None else self.coverage_samples) if module.multimodal else 1
        drawn = {"seed": 0, "indices": indices}
        many = module.translate(images, direction, guide=guide, samples=count, **drawn)
        many = many if count > 1 else many.unsqueeze(1)
        output = many[:, 0]
        if f"truth_{direction}" in batch:
            truth = batch[f"truth_{direction}"]
            self._metric("translation", direction, module).update(output, truth)
            if module.guide == "optional":
                reconstruction = module.translate(images, direction, guide=truth, **drawn)
                self._metric("reconstruction", direction, module).update(reconstruction, truth)
            if target == module.spec.labels:
                nearest = nearest_class(output, module.spec.palette["colours"])
                self._score(module, direction, nearest, truth)
        if images.ndim == 2 and f"label_{source}" in batch:
            neighbours = self._metric("neighbour_accuracy", direction, module)
            neighbours.update(output, batch[f"label_{source}"], translated=True)
        if self.segmenter is not None and source == module.spec.labels:
            segmenter = self.segmenter.to(module.device)
            self._score(module, direction, segmenter.segment(output.clamp(-1, 1)).argmax(1), images)
        if DIRECTIONS[target] in module.directions and module.guide != "required":
            self._measure_cycle(module, images, output, direction, indices)
        if target in self.judges:
            judge, shown = self.judges[target].to(module.device), clamped(output)
            if f"label_{source}" in batch:
                right = judge.classify(shown, target).argmax(1) == batch[f"label_{source}"]
                self._metric("accuracy", direction, module).update(right.float())
            if self.judge_distances:
                self._metric("judge", direction, module).update(judge.features(shown, target), real=False)
        if self.predictor is not None and module.guide != "none":
            if guide is not None:
                self._measure_attributes(module, images, guide, output, direction)
            elif (guide := partners(batch, Direction(direction), indices, dataset_of(module.trainer))) is not None:
                guided = module.translate(images, direction, guide=guide, **drawn)
                self._measure_attributes(module, images, guide, guided, direction)
        if module.multimodal:
            self._metric("diversity", direction, module).update(many[:, : self.samples])
        if truths is not None:
            self._metric("coverage", direction, module).update(many[:, : self.coverage_samples], truths)
        if self.fid and images.ndim == 4:
            for kind in ("fid", "kid"):
                self._metric(kind, direction, module).update(_rgb(output), real=False)

    def _add_real(self, module: Any, images: Tensor, direction: str) -> None:
        """Real images of the domain where ``direction`` ends, for distances of distributions.

        All of the split count: also those of batches that hold no image to translate, where one domain is longer.
        """
        target = direction[-1]
        if self.judge_distances and target in self.judges:
            features = self.judges[target].to(module.device).features(images, target)
            self._metric("judge", direction, module).update(features, real=True)
        if self.fid and images.ndim == 4:
            for kind in ("fid", "kid"):
                self._metric(kind, direction, module).update(_rgb(images), real=True)

    def _measure_cycle(self, module: Any, images: Tensor, output: Tensor, direction: str, indices: list[int]) -> None:
        source, target = direction.split("2")

        def back(images: Tensor) -> Tensor:
            return module.translate(images, DIRECTIONS[target], seed=0, indices=indices)

        cycled = back(output)
        self._metric("cycle", source, module).update(cycled, images)
        if self.cycle_noise > 0 and images.ndim == 4:
            honest = back(_storable(output, module, target))
            self._metric("rh", source, module).update(honest, cycled, images)
            noise = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(0)).to(output)
            self._metric("sn", source, module).update(back(output + self.cycle_noise * noise), cycled)

    def _measure_attributes(self, module: Any, images: Tensor, guide: Tensor, output: Tensor, direction: str) -> None:
        predict = self.predictor.to(module.device).predict_attributes
        seen = [predict(shown) for shown in (output.clamp(-1, 1), images, guide)]
        for kind in ("manipulation", "correctness"):
            self._metric(kind, direction, module).update(*seen)

    def _score(self, module: Any, name: str, classes: Tensor, labels: Tensor) -> None:
        """Compare class maps (N, H, W) with the classes of ``labels`` (N, 3, H, W), pictures in the palette."""
        palette = module.spec.palette
        truth = nearest_class(labels, palette["colours"], palette["ignored"])
        self._metric("segmentation", name, module).update(classes, truth)

    def _results(self, trainer: Trainer, module: LightningModule) -> dict[str, Tensor]:
        keys = sorted(self._metrics)
        if trainer.world_size > 1:
            # A process may have seen no image of a domain; all have to compute the same metrics.
            gathered: list[list[tuple[str, str]]] = [[] for _ in range(trainer.world_size)]
            torch.distributed.all_gather_object(gathered, keys)
            keys = sorted({key for of_one in gathered for key in of_one})
        results: dict[str, Tensor] = {}
        for kind, name in keys:
            value = self._metric(kind, name, module).compute()
            if isinstance(value, dict):
                prefix = f"{kind}_" if kind in ("cycle", "jacobian", "reconstruction") else ""
                results |= {f"{prefix}{part}_{name}": number for part, number in value.items()}
            else:
                results[f"{kind}_{name}"] = value[0] if kind == "kid" else value
        if {"gap_a", "gap_b"} <= results.keys():
            results["certificate"] = results["gap_a"] + results["gap_b"]
        return results

    def _finish(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        results = self._results(trainer, module)
        first = headlines(results)
        for name, value in results.items():
            module.log(f"{stage}/{name}", value, prog_bar=name in first, sync_dist=trainer.world_size > 1)
        self._metrics.clear()
        self._places = None

    # --- pictures ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def grid(self, module: Any, batch: dict[str, Any]) -> Tensor | None:
        """Labelled rows of the first pictures of ``batch``: input, translation, truth and back; samples.

        Vectors are drawn as points, coloured by label: both domains, and each translation over its target domain.
        Samples are drawn at each of the method's ``temperatures``, where it names some.

        Returns:
            uint8 (3, height, width), or None when there is nothing to show.
        """
        names = module.spec.names
        if any(domain in batch and batch[domain].ndim == 2 for domain in "ab"):
            return self._plots(module, batch, names)
        rows: list[tuple[str, Tensor]] = []
        for source, target in (("a", "b"), ("b", "a")):
            images, direction = batch.get(source), DIRECTIONS[source]
            if images is None or images.ndim != 4:
                continue
            images = images[: self.pictures]
            if DIRECTIONS[source] not in module.directions:
                rows += [(names[source], images)] if source in module.densities else []
                continue
            guide = partners(batch, Direction(direction), range(len(images))) if module.guide == "required" else None
            rows.append((f"{names[source]}", images))
            if guide is not None:
                rows.append((f"guide\n({names[target]})", guide))
            if module.guide == "required" and guide is None:
                continue
            output = module.translate(images, DIRECTIONS[source], guide=guide, seed=0)
            rows.append((f"to {names[target]}", output))
            if module.multimodal:
                others = (module.translate(images, DIRECTIONS[source], guide=guide, seed=seed) for seed in (1, 2))
                rows += [("  another", other) for other in others]
            if f"truth_{direction}" in batch:
                truth = batch[f"truth_{direction}"][: self.pictures]
                if module.guide == "optional":
                    rows.append(
                        ("  encoded\n  truth", module.translate(images, DIRECTIONS[source], guide=truth, seed=0))
                    )
                rows.append(("  truth", truth))
            if DIRECTIONS[target] in module.directions and module.guide != "required":
                rows.append((f"  back to\n  {names[source]}", module.translate(output, DIRECTIONS[target], seed=0)))
        if hasattr(module, "reconstruct"):
            for domain in "ab":
                if domain in batch:
                    images = batch[domain][: self.pictures]
                    rows += [(names[domain], images), ("  again", module.reconstruct(images, domain))]
        if hasattr(module, "sample"):
            for temperature in getattr(module, "temperatures", (1.0,)):
                options, note = ({}, "") if temperature == 1.0 else ({"temperature": temperature}, f" at {temperature}")
                samples = module.sample(self.pictures, seed=0, **options)
                rows += [(f"sampled{note}\n{names[d]}", images) for d, images in samples.items() if images.ndim == 4]
        return labelled_grid(rows) if rows else None

    def _plots(self, module: Any, batch: dict[str, Any], names: dict[str, str]) -> Tensor:
        points = {name: (batch[d], batch.get(f"label_{d}")) for d, name in names.items() if d in batch}
        plots = {name: [part] for name, part in points.items()}
        for source, target in (("a", "b"), ("b", "a")):
            if (
                source in batch
                and target in batch
                and DIRECTIONS[source] in module.directions
                and module.guide != "required"
            ):
                output = module.translate(batch[source], DIRECTIONS[source], seed=0)
                title = f"{names[source]} to {names[target]}"
                plots[title] = [(batch[target], None), (output, batch.get(f"label_{source}"))]
        return scatter_plots(plots)

    # --- Lightning's hooks -------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the segmenter and the predictor."""
        self._check_segmenter(pl_module)
        self._check_predictor(trainer, pl_module)

    on_test_start = on_validation_start

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
        self._measure(pl_module, batch)
        resumed = trainer.sanity_checking and pl_module.rounds > 0
        if batch_idx == 0 and self.pictures and trainer.is_global_zero and not resumed:
            self._grid = self.grid(pl_module, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of the val split, and the grid."""
        if trainer.sanity_checking:
            self._metrics.clear()
            self._places = None
        else:
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
        hyperparameters = {k: v for k, v in pl_module.hparams.items() if not k.startswith("_")}
        hyperparameters |= {"method": type(pl_module).__name__, "data": type(trainer.datamodule).__name__}
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
        self._measure(pl_module, batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of the test split."""
        self._finish(trainer, pl_module, "test")


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


def _classes(palette: dict[str, Any] | None) -> str:
    """A palette in a few words, for an error message."""
    if palette is None:
        return "no palette"
    names = palette["names"]
    return f"{len(names)} classes of domain {palette['domain']} ({names[0]} to {names[-1]})"


def _storable(images: Tensor, module: Any, domain: str) -> Tensor:
    """Translations (N, C, H, W) into ``domain`` as a file of that domain could hold them."""
    if domain == module.spec.labels:
        return nearest_colour(images, module.spec.palette["colours"])
    steps = (module.spec.levels - 1) / 2
    return ((images.clamp(-1, 1) + 1) * steps).round() / steps - 1


def _rgb(images: Tensor) -> Tensor:
    """Images in [-1, 1] to what torchmetrics' feature metrics take: three channels in [0, 1]."""
    return ((images.clamp(-1, 1) + 1) / 2).expand(-1, 3, -1, -1)


def _fid() -> Metric:
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        return FrechetInceptionDistance(normalize=True)
    except ModuleNotFoundError:
        raise ValueError("fid needs torch-fidelity: pip install 'crossdomain[fid]'.") from None


def _kid() -> Metric:
    try:
        from torchmetrics.image.kid import KernelInceptionDistance

        return KernelInceptionDistance(subset_size=50, normalize=True)
    except ModuleNotFoundError:
        raise ValueError("kid needs torch-fidelity: pip install 'crossdomain[fid]'.") from None
