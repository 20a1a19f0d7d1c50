"""Triplets of demonstrations: two images, and a third with one attribute of the first and all the rest of the other."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from crossdomain.domains import DataSpec
from crossdomain.method import Batch, Method

TRIPLET = ("reference_b", "rest_b", "b")


def triplet(batch: Batch, method: Method) -> list[Tensor]:
    """b_1, which gives the attribute of interest, b_2, which gives the rest, and b_3, which has both.

    Each is (N, C, H, W) in [-1, 1].

    Raises:
        ValueError: the batch has no triplets.
    """
    if missing := [key for key in TRIPLET if key not in batch]:
        raise ValueError(
            f"{type(method).__name__} learns from triplets of domain b, but the training batch has no "
            f"{missing[0]!r}.\nUse PuppetDigits or PuppetShapes, or data of your own whose batches hold reference_b, "
            "rest_b and b."
        )
    return [batch[key] for key in TRIPLET]


def require_size(decoder: nn.Module, spec: DataSpec) -> None:
    """Refuse data of another size than that of the images that ``decoder`` makes, where it says one (``size``)."""
    size = getattr(decoder, "size", spec.image_size)
    if spec.image_size is not None and size != spec.image_size:
        raise ValueError(
            f"data.image_size is {spec.image_size}, but the decoders make images of {size} px.\n"
            "Set model.encoder.size and model.decoder.size to that of the data."
        )


def in_size_of(images: Tensor, made: Tensor) -> Tensor:
    """What was made, in the height and width of ``images``."""
    size = images.shape[2:]
    return made if made.shape[2:] == size else F.interpolate(made, size, mode="bilinear", antialias=True)
