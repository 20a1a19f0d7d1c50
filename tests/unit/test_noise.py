"""Draws by image: no output and no metric depends on the batch that an image is in."""

from functools import partial

import pytest
import torch
from helpers.conformance import Guided, OneWay
from lightning.pytorch import LightningDataModule

from crossdomain.datamodules import DomainImages, DrawSampler, make_loader
from crossdomain.domains import Places
from crossdomain.evaluation import Evaluation
from crossdomain.methods import MUNIT, RIFT, BiCycleGAN, Pix2Pix, RandomTranslation
from crossdomain.networks import (
    ConvEncoder,
    LatentUNetGenerator,
    MultiScaleCritic,
    MUNITGenerator,
    PatchCritic,
    StyledResNetGenerator,
    UNetGenerator,
)
from crossdomain.noise import Noise

CRITIC = partial(PatchCritic, width=2, layers=1, norm="none")


def remembering():
    method = RandomTranslation(1, image_size=64, memory=5)
    method.memory_b.copy_(torch.rand_like(method.memory_b))
    method.remembered.fill_(5)
    return method


METHODS = {
    "bicyclegan": lambda: BiCycleGAN(
        1,
        latent=3,
        generator=partial(LatentUNetGenerator, width=2, levels=4),
        encoder=partial(ConvEncoder, width=2),
        critic=partial(MultiScaleCritic, width=2),
    ),
    "munit": lambda: MUNIT(1, latent=3, generator=partial(MUNITGenerator, width=2, blocks=1), critic=CRITIC),
    "pix2pix": lambda: Pix2Pix(1, generator=partial(UNetGenerator, width=2, levels=6), critic=CRITIC),
    "pix2pix, running statistics": lambda: Pix2Pix(
        1, generator=partial(UNetGenerator, width=2, levels=6), critic=CRITIC, test_batch_norm="running"
    ),
    "random": remembering,
    "rift": lambda: RIFT(
        1, generator=partial(StyledResNetGenerator, width=2, blocks=1), critic=CRITIC, test_noise=True
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_an_image_is_translated_alike_in_every_batch(name):
    method = METHODS[name]().eval()
    images = torch.rand(1, 1, 64, 64).expand(5, -1, -1, -1)
    guide = {"guide": images} if method.guide == "required" else {}
    one_by_one = {key: value[:1] for key, value in guide.items()}
    state = torch.get_rng_state()
    together = method.translate(images, "a2b", samples=2, seed=3, **guide)
    assert torch.equal(torch.get_rng_state(), state)
    alone = [method.translate(images[:1], "a2b", samples=2, seed=3, indices=[i], **one_by_one) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.equal(together[:, 0], together[:1, 0].expand(5, -1, -1, -1))  # each has draws of its own
    torch.testing.assert_close(method.translate(images, "a2b", seed=3, **guide), together[:, 0])


def test_draws_follow_from_seed_and_index():
    first = Noise(0, [4, 7]).normal(1000)
    assert torch.equal(first[1:], Noise(0, [7]).normal(1000))
    assert not torch.equal(first, Noise(1, [4, 7]).normal(1000))
    assert first.mean().abs() < 0.1
    assert first.std() == pytest.approx(1, abs=0.05)
    assert torch.corrcoef(first)[0, 1].abs() < 0.1
    several = Noise(0, range(600)).integers(3)
    assert [several.count(k) for k in range(3)] == pytest.approx([200] * 3, abs=45)


class Uneven(LightningDataModule):
    """Eleven images of a, four of b, all in the val, the test and the predict split."""

    def __init__(self, batch_size, channels):
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def draw(n):
            return torch.randint(0, 256, (n, channels, 4, 4), dtype=torch.uint8, generator=generator)

        a = {"a": draw(11)}
        self.dataset = DomainImages(a | {"truth_a2b": draw(11)}, {"b": draw(4)})
        self.batch_size = batch_size

    def val_dataloader(self):
        sampler = DrawSampler(self.dataset.lengths(), training=False)
        return make_loader(self.dataset, sampler, batch_size=self.batch_size)

    test_dataloader = predict_dataloader = val_dataloader


@pytest.mark.parametrize(("make", "channels"), [(OneWay, 1), (Guided, 2)])
def test_metrics_and_predictions_do_not_depend_on_the_batch(make, channels, trainer):
    method = make(channels)
    found, predicted = [], []
    for batch_size in (11, 3, 1):
        evaluation = Evaluation(pictures=0)
        (metrics,) = trainer(callbacks=[evaluation]).test(method, Uneven(batch_size, channels), verbose=False)
        found.append(metrics)
        torch.manual_seed(5)
        batches = trainer().predict(method, Uneven(batch_size, channels))
        predicted.append(torch.cat([batch["a2b"] for batch in batches if "a2b" in batch]))
    assert {"test/mse_a2b", "test/diversity_a2b"} & set(found[0])
    for metrics, outputs in zip(found[1:], predicted[1:], strict=True):
        assert metrics == pytest.approx(found[0], rel=1e-5)
        assert len(outputs) == 11
        torch.testing.assert_close(outputs, predicted[0])


def test_images_are_counted_as_they_are_dealt_to_processes():
    places = Places(rank=1, processes=3)
    assert places.next({"a": torch.zeros(2, 1), "b": torch.zeros(1, 1)}) == {"a": [1, 4], "b": [1]}
    assert places.next({"a": torch.zeros(1, 1)}) == {"a": [7]}
