"""Metrics against hand-computed numbers, and over batches and processes."""

import math

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from crossdomain.metrics import (
    BitsPerDim,
    CycleError,
    Diversity,
    ModeCoverage,
    NoiseSensitivity,
    ReconstructionHonesty,
    TranslationError,
)


def test_translation_error():
    truth = torch.zeros(2, 1, 16, 16)
    output = torch.stack([torch.full((1, 16, 16), 0.1), torch.full((1, 16, 16), 3.0)])
    metric = TranslationError()
    metric.update(output[:1], truth[:1])
    metric.update(output[1:], truth[1:])
    result = metric.compute()
    assert result["mse"].item() == pytest.approx((0.01 + 1.0) / 2)  # the second is clamped to 1
    assert result["psnr"].item() == pytest.approx((10 * math.log10(400) + 10 * math.log10(4)) / 2, rel=1e-5)
    ssim = structural_similarity_index_measure(output.clamp(-1, 1), truth, data_range=2.0)
    assert result["ssim"].item() == pytest.approx(ssim.item(), rel=1e-5)


def test_translation_error_of_perfect_small_and_vector_data():
    metric = TranslationError()
    metric.update(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
    assert {k: round(v.item(), 3) for k, v in metric.compute().items()} == {"mse": 0.0, "psnr": 100.0}
    metric = TranslationError()
    metric.update(torch.full((2, 3), 3.0), torch.zeros(2, 3))
    assert {k: v.item() for k, v in metric.compute().items()} == {"mse": 9.0}
    with pytest.raises(ValueError, match="cannot match"):
        metric.update(torch.zeros(2, 3), torch.zeros(2, 4))


def test_cycle_error():
    metric = CycleError()
    metric.update(torch.tensor([[0.5, -0.25]]), torch.tensor([[0.0, 0.0]]))
    metric.update(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    result = metric.compute()
    assert result["max"].item() == 1.0
    assert result["mean"].item() == pytest.approx((0.5 + 0.25 + 1.0) / 4)


def test_honesty_and_sensitivity_are_means_of_norms_of_whole_images():
    images = torch.zeros(2, 1, 1, 2)
    cycled = torch.tensor([[[[0.3, 0.4]]], [[[0.0, 0.0]]]])  # norms 0.5 and 0
    honest = torch.tensor([[[[0.0, 0.2]]], [[[0.6, 0.8]]]])  # norms 0.2 and 1
    honesty, sensitivity = ReconstructionHonesty(), NoiseSensitivity()
    for i in range(2):
        honesty.update(honest[i : i + 1], cycled[i : i + 1], images[i : i + 1])
        sensitivity.update(honest[i : i + 1], cycled[i : i + 1])
    assert honesty.compute().item() == pytest.approx((-0.3 + 1.0) / 2)
    assert sensitivity.compute().item() == pytest.approx(((0.09 + 0.04) ** 0.5 + 1.0) / 2)


def test_diversity_is_the_mean_distance_of_pairs():
    outputs = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]])
    metric = Diversity()
    metric.update(outputs)
    assert metric.compute().item() == pytest.approx(((0.5 + 1.0 + 0.5) / 3 + 0.0) / 2)
    with pytest.raises(ValueError, match="at least 2"):
        metric.update(outputs[:, :1])


def test_mode_coverage_by_hand():
    truths = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, -1.0]], [[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]]])
    outputs = torch.tensor(
        [
            [[0.1, 0.1], [-0.1, 0.1], [1.0, 0.8]],  # the first true answer twice, the second once
            [[0.0, 0.5], [1.6, 0.0], [1.0, 0.0]],  # all too far: 0.35, 0.28 and 0.71
        ]
    )
    metric = ModeCoverage(radius=0.2)
    metric.update(outputs[:1], truths[:1])
    metric.update(outputs[1:], truths[1:])
    result = metric.compute()
    assert result["nearest_mse"].item() == pytest.approx((0.01 + 0.01 + 0.02 + 0.125 + 0.08 + 0.5) / 6)
    assert result["modes_covered"].item() == (2 + 0) / 2
    wider = ModeCoverage(radius=0.3)
    wider.update(outputs, truths)
    assert wider.compute()["modes_covered"].item() == (2 + 1) / 2


def test_one_output_covers_one_mode_however_near_others_are():
    truths, outputs = torch.tensor([[[0.0], [0.1], [0.2]]]), torch.tensor([[[0.09]]])
    metric = ModeCoverage(radius=1.0)
    metric.update(outputs, truths)
    assert {k: round(v.item(), 6) for k, v in metric.compute().items()} == {"nearest_mse": 0.0001, "modes_covered": 1.0}
    metric.reset()
    metric.update(torch.full((1, 2, 3, 4, 4), 5.0), torch.ones(1, 2, 3, 4, 4))  # images are clamped
    assert metric.compute()["nearest_mse"].item() == 0.0
    with pytest.raises(ValueError, match="cannot match truths"):
        metric.update(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4))


def test_uniform_density_costs_eight_bits():
    """On [-1, 1] the uniform density is 1/2 a dimension: all 256 values alike, 8 bits each."""
    metric = BitsPerDim(256)
    metric.update(torch.full((5,), 12 * math.log(0.5)), 12)
    assert metric.compute().item() == pytest.approx(8.0)


def test_one_hundred_batches_equal_one():
    output, truth = 2 * torch.rand(100, 1, 12, 12) - 1, 2 * torch.rand(100, 1, 12, 12) - 1
    whole, parts = TranslationError(), TranslationError()
    whole.update(output, truth)
    for o, t in zip(output.split(7), truth.split(7), strict=True):
        parts.update(o, t)
    for name, value in whole.compute().items():
        assert parts.compute()[name].item() == pytest.approx(value.item(), rel=1e-6)
