"""Which metrics are shown first where there is little room. Imports nothing: listing the zoo needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

STEMS = (
    "mse", "nearest_mse", "modes_covered", "diversity", "bits_per_dim", "certificate", "neighbour_accuracy",
    "capacity_bits", "cycle_mean", "accuracy", "class_iou", "acc",
)  # fmt: skip
"""Parts of tags before the domain or direction, the most telling first."""
SIDES = ("", "_a2b", "_b2a", "_a", "_b")


def headlines(tags: Iterable[str]) -> list[str]:
    """Those of ``tags`` (without ``val/``) that are shown first, in the order of ``STEMS``."""
    known = set(tags)
    return [stem + side for stem in STEMS for side in SIDES if stem + side in known]
