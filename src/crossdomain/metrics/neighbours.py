"""Metrics of translated vectors."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

CHUNK = 4096  # queries whose distances are held at once


class NeighbourAccuracy(Metric):
    """How often a translated vector has the label of its nearest neighbour in the target domain; needs no judge."""

    full_state_update = False
    moved: list[Tensor]
    moved_labels: list[Tensor]
    target: list[Tensor]
    target_labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("moved", "moved_labels", "target", "target_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, vectors: Tensor, labels: Tensor, translated: bool) -> None:
        """Add vectors (N, D) with labels (N,): translated ones, or those of the target domain."""
        (self.moved if translated else self.target).append(vectors)
        (self.moved_labels if translated else self.target_labels).append(labels)

    def compute(self) -> Tensor:
        """Accuracy over everything so far, in [0, 1]; NaN where one of the two is missing."""
        if not (len(self.moved) and len(self.target)):
            return torch.tensor(float("nan"))
        target, labels = dim_zero_cat(self.target), dim_zero_cat(self.target_labels)
        nearest = [torch.cdist(part, target).argmin(1) for part in dim_zero_cat(self.moved).split(CHUNK)]
        return (labels[torch.cat(nearest)] == dim_zero_cat(self.moved_labels)).float().mean()
