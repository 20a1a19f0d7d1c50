"""Writes what ``predict`` makes to image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from crossdomain.capabilities import Translates
from crossdomain.datamodules.image_files import write_image


class PredictionWriter(Callback):
    """Writes translated images to ``<directory>/<direction>/<name>.png``, or ``.tif``.

    Grey and RGB images of 8 bits become PNGs; those of 16 bits or of other numbers of channels, which a PNG cannot
    hold, TIFFs. The depth is that of the data the method was trained on. The name is that of the input's file, or its
    number where the batch has no ``path_a`` or ``path_b``; two files of one name are refused.

    Args:
        directory: where to; the run's log folder, in ``predictions``, when left out.
    """

    def __init__(self, directory: str | None = None) -> None:
        self.directory = directory
        self._written: dict[str, int] = {}
        self._sources: dict[tuple[str, str], str] = {}
        self._folder = Path()
        self._levels = 256

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse methods that do not translate, and choose the folder."""
        if stage != "predict":
            return
        if not isinstance(pl_module, Translates) or not pl_module.directions:
            raise ValueError(f"predict writes translated images, but {type(pl_module).__name__} does not translate.")
        self._folder = Path(self.directory) if self.directory else Path(trainer.log_dir or ".") / "predictions"
        self._written = dict.fromkeys(pl_module.directions, 0)
        self._sources = {}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse vectors, and take note of the depth."""
        levels = pl_module.spec.levels if isinstance(pl_module, Translates) else None
        if levels is None:
            raise ValueError(
                f"predict writes images, but this {type(pl_module).__name__} translates vectors.\n"
                "Use its method translate in Python."
            )
        self._levels = levels

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the batch.

        Raises:
            ValueError: an image would be written over that of another file; names both files.
        """
        for direction, images in outputs.items():
            (self._folder / direction).mkdir(parents=True, exist_ok=True)
            names = batch.get(f"path_{direction.source}")
            for i, image in enumerate(images):
                number = self._written[direction] * trainer.world_size + trainer.global_rank
                name = Path(names[i]).stem if names else f"{number:06d}"
                source = names[i] if names else name
                if (other := self._sources.setdefault((direction, name), source)) != source:
                    raise ValueError(
                        f"{other!r} and {source!r} have one name, and the one's translation would overwrite the "
                        "other's.\nRename one of them."
                    )
                write_image(image, self._folder / direction / name, self._levels)
                self._written[direction] += 1

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where the files are."""
        if trainer.is_global_zero:
            counts = ", ".join(f"{count} {direction}" for direction, count in self._written.items())
            print(f"Wrote {counts} to {self._folder}")
