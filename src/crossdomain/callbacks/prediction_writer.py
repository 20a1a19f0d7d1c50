"""Writes what ``predict`` makes to image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor


class PredictionWriter(Callback):
    """Writes translated images to ``<directory>/<direction>/<name>.png``, or ``.tif``.

    Grey and RGB images of 8 bits become PNGs; those of 16 bits or of other numbers of channels, which a PNG cannot
    hold, TIFFs. The depth is that of the data the method was trained on. The name is that of the input's file, or its
    number where the batch has no ``path_a`` or ``path_b``.

    Args:
        directory: where to; the run's log folder, in ``predictions``, when left out.
    """

    def __init__(self, directory: str | None = None) -> None:
        self.directory = directory
        self._written: dict[str, int] = {}
        self._folder = Path()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse methods that do not translate, and make the folder."""
        if stage != "predict":
            return
        if not pl_module.directions:
            raise ValueError(f"predict writes translated images, but {type(pl_module).__name__} does not translate.")
        self._folder = Path(self.directory) if self.directory else Path(trainer.log_dir or ".") / "predictions"
        self._written = dict.fromkeys(pl_module.directions, 0)
        for direction in pl_module.directions:
            (self._folder / direction).mkdir(parents=True, exist_ok=True)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the batch."""
        for direction, images in outputs.items():
            names = batch.get(f"path_{direction[0]}")
            for i, values in enumerate(_stored(images, pl_module.data_spec["levels"])):
                number = self._written[direction] * trainer.world_size + trainer.global_rank
                name = Path(names[i]).stem if names else f"{number:06d}"
                _write(values, self._folder / direction / name)
                self._written[direction] += 1

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where the files are."""
        if trainer.is_global_zero:
            counts = ", ".join(f"{count} {direction}" for direction, count in self._written.items())
            print(f"Wrote {counts} to {self._folder}")


def _stored(images: Tensor, levels: int) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] to arrays (N, H, W, C), uint8 for 256 levels, else uint16."""
    top = levels - 1
    values = ((images.double() + 1) * (top / 2)).round().clamp(0, top).permute(0, 2, 3, 1).cpu().numpy()
    return values.astype(np.uint8 if levels <= 256 else np.uint16)


def _write(values: np.ndarray, path: Path) -> None:
    """(H, W, C) to ``path`` with the suffix of the format that can hold it."""
    channels = values.shape[-1]
    if values.dtype == np.uint8 and channels in (1, 3):
        Image.fromarray(values[..., 0] if channels == 1 else values).save(f"{path}.png")
    else:
        colours = "rgb" if channels in (3, 4) else "minisblack"
        tifffile.imwrite(f"{path}.tif", values, photometric=colours, planarconfig="contig")
