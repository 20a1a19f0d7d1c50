"""Metrics of class maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from crossdomain.metrics.palette import VOID


class SegmentationScore(MulticlassConfusionMatrix):
    """The three scores of the FCN-score: ``pixel_accuracy``, ``class_accuracy`` and ``class_iou``.

    All are taken of one confusion matrix H over all pixels of all images, with true classes in its rows and predicted
    ones in its columns (Long et al., arXiv 1411.4038; Isola et al., arXiv 1611.07004):

    - pixel accuracy: tr H / sum H;
    - class accuracy: the mean over classes of H_kk / row_k;
    - class IoU: the mean over classes of H_kk / (row_k + column_k - H_kk).

    Classes for which the quotient is 0 / 0 are left out of the mean. The script of pix2pix counts them as 0 instead;
    where every class occurs in the truth the two agree.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(classes, ignore_index=VOID, validate_args=False)

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Add class maps, both int64 (N, H, W); pixels whose truth is ``VOID`` do not count."""
        if predicted.shape != truth.shape:
            raise ValueError(f"Classes of shape {tuple(predicted.shape)} cannot match truth of {tuple(truth.shape)}.")
        super().update(predicted, truth)

    # The matrix is what this metric keeps, not what it tells.
    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """The three scores over all pixels so far, each in [0, 1]."""
        matrix = self.confmat.double()
        right, of_class, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
        scores = {
            "pixel_accuracy": right.sum() / matrix.sum(),
            "class_accuracy": torch.nanmean(right / of_class),
            "class_iou": torch.nanmean(right / (of_class + predicted - right)),
        }
        return {name: score.float() for name, score in scores.items()}
