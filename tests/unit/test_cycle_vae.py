"""Cycle-VAE: its losses by hand, whom the reverse cycle moves, which part of whom a translation shows, sizes."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

import crossdomain
from crossdomain.datamodules import Digits, PuppetDigits
from crossdomain.evaluation import Evaluation
from crossdomain.methods import CycleVAE
from crossdomain.networks import CycleVAEDecoder, CycleVAEEncoder

SIZE, N, C, S = 24, 3, 4, 5
SMALL = {
    "specified_latent": C,
    "unspecified_latent": S,
    "encoder": partial(CycleVAEEncoder, width=2, size=SIZE),
    "decoder": partial(CycleVAEDecoder, width=2, size=SIZE, specified=C),
}
KEYS = ("reference_b", "rest_b", "b")


def make(channels=2, **options):
    method = CycleVAE(channels, **{**SMALL, **options})
    for parameter in method.parameters():
        nn.init.normal_(parameter, 0.0, 0.3)  # far enough from 0 for each part to matter
    return method


@pytest.fixture
def batch():
    return {key: 2 * torch.rand(N, 2, SIZE, SIZE) - 1 for key in ("a", *KEYS)}


def codes(method, images):
    found = method.encoder(images)
    return found[:, :C], found[:, C : C + S], found[:, C + S :]


def show(method, c, s):
    return method.decoder(torch.cat([c, s], 1))


@pytest.mark.parametrize("specified", ["attribute", "rest"])
def test_losses_by_hand(batch, specified):
    method = make(specified=specified, reconstruction_weight=2.0, kl_weight=5.0, reverse_cycle_weight=7.0)
    b_1, b_2, b_3 = (batch[key] for key in KEYS)
    x, y, third = (b_1, b_3, b_2) if specified == "attribute" else (b_2, b_3, b_1)
    torch.manual_seed(1)
    epsilon, z = torch.randn(2 * N, S), torch.randn(N, S)
    torch.manual_seed(1)
    terms = method.generator_loss(batch, method.generate(batch))

    (c_x, mu_x, v_x), (c_y, mu_y, v_y) = codes(method, x), codes(method, y)
    s_x, s_y = mu_x + epsilon[:N] * v_x.exp().sqrt(), mu_y + epsilon[N:] * v_y.exp().sqrt()
    error = (show(method, c_y, s_x) - x).square().mean() + (show(method, c_x, s_y) - y).square().mean()
    divergences = [kl_divergence(Normal(mu, v.exp().sqrt()), Normal(0.0, 1.0)) for mu, v in ((mu_x, v_x), (mu_y, v_y))]
    kl = sum(each.sum(1).mean() for each in divergences) / (2 * SIZE * SIZE)
    read = [codes(method, show(method, c, z))[1] for c in (c_y, codes(method, third)[0])]
    expected = {"reconstruction": 2 * error, "kl": 5 * kl, "reverse_cycle": 7 * (read[0] - read[1]).abs().mean()}
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name, rtol=1e-4, atol=1e-6)


def test_defaults_are_those_of_the_authors_code():
    method = CycleVAE(1)
    assert method.lengths == (16, 16, 16)
    # 2 of a squared error on [0, 1], which is 4 times as large on [-1, 1]
    assert (method.reconstruction_weight, method.kl_weight, method.reverse_cycle_weight) == (2 / 4, 3, 10)
    assert method.specified == "attribute"


def test_the_reverse_cycle_moves_the_encoder_alone(batch):
    method = make()
    terms = method.generator_loss(batch, method.generate(batch))
    assert list(terms) == ["reconstruction", "kl", "reverse_cycle"]
    terms["reverse_cycle"].backward()
    assert all(p.grad is None for p in method.decoder.parameters())
    gradient = method.encoder.model[-1].weight.grad
    moved = [rows.abs().max().item() > 0 for rows in gradient.split(method.lengths)]
    assert moved == [False, True, False]  # by mu of what is shown; codes that it is shown with are given
    without = make(reverse_cycle_weight=0.0)
    assert list(without.generator_loss(batch, without.generate(batch))) == ["reconstruction", "kl"]


def test_real_images_are_not_learned_from(batch):
    method = make()
    torch.manual_seed(1)
    terms = method.generator_loss(batch, method.generate(batch))
    torch.manual_seed(1)
    alone = {key: batch[key] for key in KEYS}
    torch.testing.assert_close(method.generator_loss(alone, method.generate(alone)), terms)


@pytest.mark.parametrize("specified", ["attribute", "rest"])
def test_a_translation_has_the_attribute_of_the_image_and_the_rest_of_the_guide(batch, specified):
    method = make(specified=specified)
    a, reference = batch["a"], batch["reference_b"]
    shared, drawn = (reference, a) if specified == "attribute" else (a, reference)
    expected = show(method, codes(method, shared)[0], codes(method, drawn)[1])
    torch.testing.assert_close(method.translate(reference, "b2a", guide=a), expected)
    torch.testing.assert_close(method.manipulate(a, reference), expected)
    attribute = codes(method, reference)[0 if specified == "attribute" else 1]
    torch.testing.assert_close(method.encode(reference, "b"), attribute)
    larger = torch.nn.functional.interpolate(reference, 32)
    assert method.translate(larger, "b2a", guide=a).shape == (N, 2, 32, 32)
    with pytest.raises(ValueError, match="guide"):
        method.translate(a, "a2b")


def test_networks_of_the_authors_code():
    encoder, decoder = CycleVAEEncoder(1, 48, size=28), CycleVAEDecoder(32, 1, size=28)
    assert sum(p.numel() for p in encoder.parameters()) == 76_848
    assert sum(p.numel() for p in decoder.parameters()) == 82_737
    assert encoder(torch.zeros(2, 1, 28, 28)).shape == (2, 48)
    for size in (24, 28, 32, 36, 64):
        assert CycleVAEDecoder(32, 3, width=2, size=size)(torch.zeros(2, 32)).shape == (2, 3, size, size)
        assert CycleVAEEncoder(3, 5, width=2, size=size)(torch.zeros(2, 3, 40, 40)).shape == (2, 5)


def test_it_trains_and_is_rebuilt_from_its_checkpoint(trainer, tmp_path):
    method = CycleVAE(1, **SMALL)
    data = PuppetDigits(batch_size=4, image_size=SIZE)
    run = trainer(limit_train_batches=2, limit_val_batches=1, callbacks=[Evaluation(pictures=2)])
    run.fit(method, data)
    assert {"val/r_attr_b2a", "val/v_rest_b2a"} <= set(run.callback_metrics)
    run.save_checkpoint(tmp_path / "method.ckpt")
    again = crossdomain.load(tmp_path / "method.ckpt")
    images, reference = torch.rand(2, 2, 1, SIZE, SIZE).unbind()
    assert torch.equal(again.manipulate(images, reference), method.eval().manipulate(images, reference))


def test_mistakes_are_named(trainer):
    with pytest.raises(ValueError, match="specified is 'digit', but has to be 'attribute' or 'rest'"):
        make(specified="digit")
    with pytest.raises(ValueError, match="specified_latent is 0, but has to be at least 1"):
        make(specified_latent=0)
    with pytest.raises(ValueError, match="size is 20, but has to be at least 24"):
        CycleVAEEncoder(1, 3, size=20)
    with pytest.raises(ValueError, match=r"size is 30 and specified is 16 of 32\.\nSet model.decoder.size to"):
        CycleVAEDecoder(32, 1, size=30)
    with pytest.raises(ValueError, match=r"specified is 4 of 4\.\n.*model.decoder.specified to model.specified"):
        CycleVAEDecoder(4, 1, specified=4)
    with pytest.raises(ValueError, match=r"CycleVAE learns from triplets of domain b.*'reference_b'"):
        trainer(limit_train_batches=1, limit_val_batches=0).fit(make(1), Digits(image_size=SIZE, batch_size=2))
    with pytest.raises(ValueError, match=r"data.image_size is 32, but the decoders make images of 24 px"):
        trainer(limit_train_batches=1).fit(make(1), PuppetDigits(batch_size=2))
