"""Metrics against hand-computed numbers, and over batches and processes."""

import math

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from crossdomain.metrics import (
    BitsPerDim,
    CycleError,
    Diversity,
    FeatureDistance,
    ModeCoverage,
    NoiseSensitivity,
    ReconstructionHonesty,
    TranslationError,
)
from crossdomain.metrics import features as feature_distances
from crossdomain.metrics.features import frechet_distance, kernel_distance


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


def test_frechet_distance_of_hand_made_samples():
    """Means (0, 0) and (3, 0), covariances diag(4/3, 16/3) and diag(6, 8/3)."""
    x = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [1.0, -2.0], [-1.0, 2.0]]).double()
    y = torch.tensor([[6.0, 0.0], [0.0, 0.0], [3.0, 2.0], [3.0, -2.0]]).double()
    expected = 9 + (4 + 16) / 3 + 6 + 8 / 3 - 2 * (math.sqrt(4 / 3 * 6) + math.sqrt(16 / 3 * 8 / 3))
    assert frechet_distance(x, y).item() == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(y, x).item() == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(x, x).item() == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x, x + torch.tensor([3.0, 4.0])).item() == pytest.approx(25, rel=1e-12)


def test_kernel_distance_of_hand_made_samples():
    """D = 2, x = (1, 1), (0, 0); y = (2, 0), (0, 2), (0, 0): kernels of pairs are 1 and 1, of x and y 8, 8 and 1."""
    x = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).double()
    y = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]).double()
    assert kernel_distance(x, y).item() == pytest.approx(1 + 1 - 2 * (8 + 8 + 1 + 1 + 1 + 1) / 6)


@pytest.mark.parametrize("count", [40, 6])  # more than dimensions, and fewer: covariances are singular
def test_feature_distances_are_those_of_torchmetrics(count, monkeypatch):
    monkeypatch.setattr(feature_distances, "BLOCK", 16)
    x, y = torch.rand(count, 8), torch.rand(count, 8) ** 2

    class Identity(torch.nn.Module):
        num_features = 8
        forward = staticmethod(torch.Tensor.double)

    fid, ours = FrechetInceptionDistance(Identity(), normalize=True), FeatureDistance()
    for metric in (fid, ours):
        for part in range(2):
            metric.update(x[part::2], real=False)
            metric.update(y[part::2], real=True)
    result = ours.compute()
    assert result["frechet_judge"].item() == pytest.approx(fid.compute().item(), rel=1e-5)
    assert result["kernel_judge"].item() == pytest.approx(poly_mmd(x.double(), y.double()).item(), rel=1e-5)


def test_one_image_has_no_distribution():
    metric = FeatureDistance()
    metric.update(torch.rand(5, 8), real=False)
    assert all(value.isnan() for value in metric.compute().values())
    metric.update(torch.rand(1, 8), real=True)
    assert all(value.isnan() for value in metric.compute().values())
    metric.update(torch.rand(1, 8), real=True)
    assert not any(value.isnan() for value in metric.compute().values())


def _distance_of_one_process(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    translated, real = torch.load(f"{folder}/features.pt")
    metric = FeatureDistance()
    for part in (translated[:5], translated[5:6], translated[6:]) if rank == 0 else ():  # the other one has none
        metric.update(part, real=False)
    metric.update(real[:3] if rank == 0 else real[3:], real=True)
    torch.save(metric.compute(), f"{folder}/rank{rank}.pt")
    torch.distributed.destroy_process_group()


def test_feature_distances_add_up_over_processes_with_unlike_shares(tmp_path):
    translated, real = torch.rand(9, 4), torch.rand(8, 4)
    torch.save((translated, real), tmp_path / "features.pt")
    torch.multiprocessing.spawn(_distance_of_one_process, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        result = torch.load(tmp_path / f"rank{rank}.pt")
        assert result["frechet_judge"].item() == pytest.approx(
            frechet_distance(translated.double(), real.double()).item(), rel=1e-5
        )
        assert result["kernel_judge"].item() == pytest.approx(
            kernel_distance(translated.double(), real.double()).item(), rel=1e-5
        )
