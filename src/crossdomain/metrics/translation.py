"""Metrics of translated images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.functional.image import structural_similarity_index_measure


class TranslationError(Metric):
    """Distance of translated images to the truth: ``mse``, ``psnr`` and ``ssim``.

    All three are taken of each image and averaged over images, on the scale [-1, 1], outputs clamped to it. PSNR is
    in decibels at a range of 2 and stops at 100 for a perfect image. SSIM (Wang et al., 2004; Gaussian window of 11
    pixels) is left out below 11 pixels; vectors have only the mean squared error, and are not clamped.
    """

    full_state_update = False
    mse: Tensor
    psnr: Tensor
    ssim: Tensor
    images: Tensor
    kind: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("mse", "psnr", "ssim", "images"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("kind", torch.tensor(0), dist_reduce_fx="max")  # 0 vectors, 1 small images, 2 images

    def update(self, output: Tensor, truth: Tensor) -> None:
        """Add a batch of outputs and truths, both (N, C, H, W) or (N, D)."""
        if output.shape != truth.shape:
            raise ValueError(f"Output of shape {tuple(output.shape)} cannot match truth of {tuple(truth.shape)}.")
        images = output.ndim == 4
        output = output.float().clamp(-1, 1) if images else output.float()
        mse = (output - truth).square().flatten(1).mean(1)
        self.mse += mse.double().sum()
        self.images += len(output)
        if images:
            self.psnr += (10 * torch.log10(4 / mse.double().clamp_min(4e-10))).sum()
            self.kind.clamp_(min=1)
            if min(output.shape[-2:]) >= 11:
                ssim = structural_similarity_index_measure(output, truth.float(), data_range=2.0, reduction="none")
                assert isinstance(ssim, Tensor)  # rather than a pair, as nothing else was asked for
                self.ssim += ssim.double().sum()
                self.kind.clamp_(min=2)

    def compute(self) -> dict[str, Tensor]:
        """Averages over all images so far."""
        names = ("mse", "psnr", "ssim")[: int(self.kind) + 1]
        return {name: (getattr(self, name) / self.images).float() for name in names}


class Diversity(Metric):
    """Mean absolute distance between pairs of outputs for one input, on the scale [-1, 1]; 0 when all are alike."""

    full_state_update = False
    sum: Tensor
    inputs: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sum", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("inputs", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor) -> None:
        """Add outputs (N, S, ...) of N inputs, S >= 2 for each; all pairs of the S count."""
        samples = outputs.shape[1]
        if samples < 2:
            raise ValueError("Diversity compares outputs for one input; it needs at least 2 of them.")
        flat = outputs.flatten(2).float()
        distances = torch.cdist(flat, flat, p=1) / flat.shape[2]
        self.sum += distances.sum((1, 2)).double().sum() / (samples * (samples - 1))
        self.inputs += len(outputs)

    def compute(self) -> Tensor:
        """Mean over inputs."""
        return (self.sum / self.inputs).float()


class ModeCoverage(Metric):
    """How near outputs come to one of several true answers, and how many of these they find.

    ``nearest_mse`` is the mean squared error of an output to the true one nearest to it, averaged over outputs.
    ``modes_covered`` is the number of an input's true answers, averaged over inputs, that are the nearest one of at
    least one output and within ``radius`` of it. Both on the scale [-1, 1], images clamped to it.

    Args:
        radius: root mean squared distance. Up to half the distance of any two true answers, an output lies within the
            radius of one of them at most.
    """

    full_state_update = False
    error: Tensor
    outputs: Tensor
    covered: Tensor
    inputs: Tensor

    def __init__(self, radius: float = 0.2) -> None:
        super().__init__()
        self.radius = radius
        for name in ("error", "outputs", "covered", "inputs"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, truths: Tensor) -> None:
        """Add outputs (N, S, ...) and true answers (N, M, ...) of N inputs."""
        if outputs.shape[0] != truths.shape[0] or outputs.shape[2:] != truths.shape[2:]:
            raise ValueError(f"Outputs of shape {tuple(outputs.shape)} cannot match truths of {tuple(truths.shape)}.")
        images = outputs.ndim == 5
        flat = (outputs.float().clamp(-1, 1) if images else outputs.float()).flatten(2)
        exact = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(flat, truths.float().flatten(2), compute_mode=exact) / flat.shape[2] ** 0.5
        nearest, which = distances.min(2)
        found = F.one_hot(which, truths.shape[1]).bool() & (nearest < self.radius).unsqueeze(2)
        self.error += nearest.double().square().sum()
        self.outputs += nearest.numel()
        self.covered += found.any(1).sum()
        self.inputs += len(outputs)

    def compute(self) -> dict[str, Tensor]:
        """``nearest_mse`` and ``modes_covered`` over everything so far."""
        return {
            "nearest_mse": (self.error / self.outputs).float(),
            "modes_covered": (self.covered / self.inputs).float(),
        }
