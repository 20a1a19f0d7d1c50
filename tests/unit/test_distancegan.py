"""DistanceGAN: distances and statistics by hand, one direction alone, and what is refused."""

from functools import partial

import pytest
import torch

from crossdomain.datamodules import Digits
from crossdomain.methods import DistanceGAN
from crossdomain.networks import PatchCritic, ResNetGenerator

GENERATOR = partial(ResNetGenerator, width=4, blocks=1)
CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")


def make(**options):
    return DistanceGAN(1, generator=GENERATOR, critic=CRITIC, **options)


def constant(*values):
    """Images of 2x4 pixels, each of one value."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 4).clone()


def test_distances_by_hand():
    images = constant(0.0, 0.5, -1.0)
    torch.testing.assert_close(make().distances(images), torch.tensor([0.5, 1.0, 1.5]))
    torch.testing.assert_close(make().distances(images[:2]), torch.tensor([0.5]))
    images[..., 2:] += torch.tensor([0.25, -0.5, 0.0]).view(-1, 1, 1, 1)
    torch.testing.assert_close(make(distance="halves").distances(images), torch.tensor([0.25, 0.5, 0.0]))
    images = torch.zeros(1, 1, 2, 4)
    images[:, :, 0] = 1  # top and bottom differ, left and right do not
    assert make(distance="halves").distances(images).item() == 0


def test_statistics_are_over_pairs():
    """Not over means of batches, as in two of the official code bases, whose sigma is too small."""
    method = make(statistics_images=4)
    a, b = constant(0.0, 0.1, 0.4, 1.0), constant(0.0, 0.2, 0.2, 0.2)
    method.prepare({"a": x, "b": y} for x, y in zip(a.split(2), b.split(2), strict=True))
    pairs = torch.tensor([0.1, 0.4, 1.0, 0.3, 0.9, 0.6])
    torch.testing.assert_close(method.mean_a, pairs.mean())
    torch.testing.assert_close(method.deviation_a, pairs.std(correction=0))
    torch.testing.assert_close(method.mean_b, torch.tensor(0.1))
    torch.testing.assert_close(method.deviation_b, torch.tensor(0.1))
    few = make(statistics_images=3)
    few.prepare({"a": x, "b": y} for x, y in zip(a.split(2), b.split(2), strict=True))
    torch.testing.assert_close(few.mean_a, pairs[[0, 1, 3]].mean())


@pytest.mark.parametrize("images", [2, 3])
@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_distance_term_by_hand(images, direction):
    method = make(direction=direction, distance_weight_a=0.7, distance_weight_b=0.3)
    source, target = direction.split("2")
    values = {"mean_a": 0.3, "deviation_a": 0.2, "mean_b": 0.5, "deviation_b": 0.4}
    for name, value in values.items():
        method.get_buffer(name).fill_(value)
    real, fake = (2 * torch.rand(images, 1, 8, 8) - 1 for _ in range(2))
    fake.requires_grad_()
    out = {f"fake_{target}": fake}
    terms = method.generator_loss({source: real, target: torch.rand(images, 1, 8, 8)}, out)
    assert set(terms) == {f"adversarial_{target}", f"distance_{source}"}
    errors = []
    for i in range(images):
        for j in range(i):
            before = ((real[i] - real[j]).abs().mean() - values[f"mean_{source}"]) / values[f"deviation_{source}"]
            after = ((fake[i] - fake[j]).abs().mean() - values[f"mean_{target}"]) / values[f"deviation_{target}"]
            errors.append((before - after).abs())
    expected = (0.7 if source == "a" else 0.3) * torch.stack(errors).mean()
    torch.testing.assert_close(terms[f"distance_{source}"], expected)
    (gradient,) = torch.autograd.grad(terms[f"distance_{source}"], fake)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()  # both images of a pair are moved


@pytest.mark.parametrize(
    ("options", "networks", "terms"),
    [
        ({"direction": "a2b"}, {"a2b", "critic_b"}, {"adversarial_b", "distance_a"}),
        ({"direction": "b2a", "distance": "halves"}, {"b2a", "critic_a"}, {"adversarial_a", "distance_b"}),
        (
            {"direction": "both"},
            {"a2b", "b2a", "critic_a", "critic_b"},
            {"adversarial_a", "adversarial_b", "distance_a", "distance_b"},
        ),
        (
            {"direction": "both", "cycle_weight_a": 10.0, "cycle_weight_b": 10.0},
            {"a2b", "b2a", "critic_a", "critic_b"},
            {"adversarial_a", "adversarial_b", "distance_a", "distance_b", "cycle_a", "cycle_b"},
        ),
    ],
)
def test_one_direction_builds_and_trains_its_own_networks(options, networks, terms, trainer, snapshot):
    method = make(**options)
    assert {name for name, _ in method.named_children()} == networks
    before = snapshot(method)
    trainer(limit_train_batches=1, limit_val_batches=1).fit(method, Digits(batch_size=8))
    assert {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])} == networks
    found = {name.removeprefix("generator_") for name in method.last_terms if name.startswith("generator_")}
    assert found == terms


def test_statistics_are_of_the_training_images_and_stay(trainer, tmp_path):
    method, data = make(statistics_images=200), Digits(batch_size=16)
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    run.fit(method, data)
    assert 0 < method.deviation_a < method.mean_a < 2
    everything = data.splits["train"].fields[0]["a"].float() / 127.5 - 1
    assert method.mean_a.item() == pytest.approx(method.distances(everything).mean().item(), rel=0.05)
    run.save_checkpoint(tmp_path / "last.ckpt")
    resumed = make(statistics_images=200)
    trainer(max_epochs=2, limit_train_batches=2, limit_val_batches=0).fit(
        resumed, Digits(batch_size=16, seed=5), ckpt_path=str(tmp_path / "last.ckpt")
    )
    for name in ("mean_a", "deviation_a", "mean_b", "deviation_b"):
        assert torch.equal(resumed.get_buffer(name), method.get_buffer(name))


def test_a_batch_of_one_has_no_pairs(trainer):
    with pytest.raises(ValueError, match=r"this one holds 1 image.\nSet data.batch_size to 2 or more"):
        trainer(limit_train_batches=1).fit(make(), Digits(batch_size=1))
    trainer(limit_train_batches=1, limit_val_batches=0).fit(make(distance="halves"), Digits(batch_size=1))


def test_images_that_are_all_alike_have_no_distances_to_keep(trainer, tensors):
    data = tensors({"a": torch.rand(4, 1, 16, 16)}, {"b": torch.zeros(4, 1, 16, 16)})
    with pytest.raises(ValueError, match="All images of domain b have the same distance, 0: there is none to keep"):
        trainer().fit(make(), data)


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="'a2b', 'b2a' or 'both'"):
        make(direction="ab")
    with pytest.raises(ValueError, match="'pairs' or 'halves'"):
        make(distance="thirds")
    with pytest.raises(ValueError, match=r"A cycle needs both directions, but there is a2b alone.\nSet the cycle"):
        make(cycle_weight_a=10.0)
