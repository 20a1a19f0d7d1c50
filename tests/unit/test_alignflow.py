"""AlignFlow: its losses by hand, who moves, and exactness of the cycle."""

from functools import partial

import pytest
import torch

from crossdomain.datamodules import Digits
from crossdomain.flows import NICE, Glow, ImageFlow, bin_centre, dequantize
from crossdomain.losses import standard_normal_log_prob
from crossdomain.methods import AlignFlow
from crossdomain.networks import PatchCritic

FLOW = partial(ImageFlow, scales=2, steps=2, width=8)
CRITIC = partial(PatchCritic, width=8, layers=1, norm="none")


def make(**options):
    return AlignFlow(1, flow=FLOW, critic=CRITIC, **options)


def batch(n=4):
    stored = torch.randint(0, 256, (2, n, 1, 8, 8)) / 127.5 - 1
    return {"a": stored[0], "b": stored[1]}


def perturbed(method, scale=0.1):
    for p in method.parameters():
        p.data += scale * torch.randn_like(p)
    return method


def test_terms_by_hand():
    method = perturbed(make(adversarial_weight=2.0, likelihood_weight_a=0.01, likelihood_weight_b=0.03))
    images = batch()
    torch.manual_seed(7)
    out = method.generate(images)
    torch.manual_seed(7)
    a = dequantize(images["a"])
    b = dequantize(images["b"])
    (za, log_det_a), (zb, log_det_b) = method.flow_a(a), method.flow_b(b)
    fake_a, fake_b = method.flow_a.inverse(zb)[0], method.flow_b.inverse(za)[0]
    terms = method.generator_loss(images, out)
    expected = {
        "adversarial_a": 2 * (method.critic_a(fake_a) - 1).pow(2).mean(),
        "adversarial_b": 2 * (method.critic_b(fake_b) - 1).pow(2).mean(),
        "likelihood_a": -0.01 * (standard_normal_log_prob(za) + log_det_a).mean(),
        "likelihood_b": -0.03 * (standard_normal_log_prob(zb) + log_det_b).mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    terms = method.critic_loss(images, out)
    for domain, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
        critic = method.get_submodule(f"critic_{domain}")
        by_hand = 0.5 * ((critic(real) - 1).pow(2).mean() + critic(fake).pow(2).mean())
        torch.testing.assert_close(terms[domain], by_hand)


@pytest.mark.parametrize(
    ("weights", "terms", "players"),
    [
        ((1.0, 0.0), {"adversarial_a", "adversarial_b"}, ["generator", "critic"]),
        (
            (1.0, 1e-4),
            {"adversarial_a", "adversarial_b", "likelihood_a", "likelihood_b"},
            ["generator", "critic"],
        ),
        ((0.0, 1.0), {"likelihood_a", "likelihood_b"}, ["generator"]),
    ],
)
def test_weights_choose_adversarial_hybrid_and_likelihood_only(weights, terms, players):
    w, likelihood = weights
    method = make(adversarial_weight=w, likelihood_weight_a=likelihood, likelihood_weight_b=likelihood)
    assert list(method.players) == players
    assert hasattr(method, "critic_a") == ("critic" in players)
    images = batch()
    assert set(method.generator_loss(images, method.generate(images))) == terms


def test_each_player_moves_its_own_networks_alone(trainer, snapshot):
    for player, owned in (("generator", {"flow_a", "flow_b"}), ("critic", {"critic_a", "critic_b"})):
        method = make()
        method.turns = lambda p, round, player=player: int(p == player)
        method.prepare = lambda loader: None
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == owned


def test_critics_get_no_gradient_while_the_generator_moves(trainer):
    method, seen = make(), []
    step = method._update

    def update(player, optimizer, loss):
        frozen = [all(not p.requires_grad for p in method.player_parameters(p_)) for p_ in ("generator", "critic")]
        seen.append((player, *frozen))
        step(player, optimizer, loss)

    method._update = update
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert seen == [("generator", False, True), ("critic", True, False)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_b2a_undoes_a2b(training, dtype, bound):
    method = perturbed(make()).to(dtype).train(training)
    images = batch(16)
    for source, there, back in (("a", "a2b", "b2a"), ("b", "b2a", "a2b")):
        x = images[source].to(dtype)
        y = method.translate(x, there)
        assert (y - x).abs().max() > 0.05
        assert (method.translate(y, back) - x).abs().max() < bound


@pytest.mark.parametrize(
    "flow", [partial(Glow, scales=2, steps=2, width=8), partial(NICE, size=16, layers=2, width=16)]
)
def test_other_flows_share_a_latent_space_too(flow, trainer):
    method = AlignFlow(1, flow=flow, critic=CRITIC)
    trainer(limit_train_batches=2, limit_val_batches=0).fit(method, Digits(batch_size=16))
    method, images = method.double(), 2 * torch.rand(4, 1, 16, 16, dtype=torch.float64) - 1
    assert (method.translate(method.translate(images, "a2b"), "b2a") - images).abs().max() < 1e-8


def test_translation_draws_no_noise():
    method, images = perturbed(make()), batch()
    assert torch.equal(method.translate(images["a"], "a2b"), method.translate(images["a"], "a2b"))


def test_images_without_noise_stand_in_the_middle_of_their_bins():
    """Where dequantisation puts them on average; what is decoded is on the scale of stored values again."""
    method, images = perturbed(make()).double(), batch()["a"].double()
    middle = dequantize(images, noise=torch.tensor(0.5))
    latents, _ = method.flow_a(middle)
    torch.testing.assert_close(method.encode(images, "a"), latents, atol=1e-5, rtol=0)
    expected = method.flow_b.inverse(latents)[0] * 256 / 255
    torch.testing.assert_close(method.translate(images, "a2b"), expected, atol=1e-5, rtol=0)
    assert bin_centre(2) == 0.5
    assert bin_centre(None) == 1


def test_prepare_normalises_latents_and_leaves_no_trace(trainer):
    method = make()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    run = trainer(limit_train_batches=0, limit_val_batches=0)
    data = Digits(batch_size=64)
    run.fit(method, data)
    assert torch.equal(state, torch.get_rng_state())
    data.setup("fit")
    images = next(iter(data.train_dataloader()))
    for domain in "ab":
        z, _ = method.flow_of(domain)(dequantize(images[domain]))
        assert z.std().item() == pytest.approx(1.0, abs=0.05)
        assert z.mean().item() == pytest.approx(0.0, abs=0.05)


def test_prepare_is_skipped_on_resume(trainer, tmp_path):
    run = trainer(limit_train_batches=1, limit_val_batches=0)
    run.fit(make(), Digits(batch_size=8))
    run.save_checkpoint(tmp_path / "x.ckpt")
    method = make()
    method.prepare = lambda loader: pytest.fail("prepare ran again")
    trainer(limit_train_batches=1, limit_val_batches=0, max_epochs=2).fit(
        method, Digits(batch_size=8), ckpt_path=tmp_path / "x.ckpt"
    )
    assert method.rounds == 2


def test_log_prob_integrates_to_one():
    """A flow over two pixels: its density on a fine grid of [-1, 1]^2 and beyond sums to 1."""
    method = perturbed(
        AlignFlow(2, flow=partial(ImageFlow, scales=1, steps=2, width=4), adversarial_weight=0.0)
    ).double()
    flow = method.flow_a
    # One 2x2 block of 2 channels has 8 pixels: check the marginal by importance sampling from the uniform density.
    torch.manual_seed(0)
    edge = 1 / 0.9
    x = (2 * torch.rand(200_000, 2, 2, 2, dtype=torch.float64) - 1) * edge
    z, log_det = flow(x)
    density = (standard_normal_log_prob(z) + log_det).exp() * (2 * edge) ** 8
    assert density.mean().item() == pytest.approx(1.0, abs=0.1)


def test_encode_decode_sample_and_interpolate():
    method, images = perturbed(make()), batch(3)
    z = method.encode(images["a"], "a")
    torch.testing.assert_close(method.decode(z, "a"), images["a"], atol=1e-4, rtol=0)
    torch.testing.assert_close(method.decode(z, "b"), method.translate(images["a"], "a2b"))
    samples = method.sample(5, seed=1, size=8)
    assert {k: v.shape for k, v in samples.items()} == {"a": (5, 1, 8, 8), "b": (5, 1, 8, 8)}
    torch.testing.assert_close(method.translate(samples["a"], "a2b"), samples["b"], atol=1e-3, rtol=0)
    assert torch.equal(samples["a"], method.sample(5, seed=1, size=8)["a"])
    with pytest.raises(ValueError, match="size="):
        method.sample(1)
    walk = method.interpolate(images["a"], images["a"].flip(0), "a", steps=4)
    assert walk["b"].shape == (3, 4, 1, 8, 8)
    torch.testing.assert_close(walk["a"][:, 0], images["a"], atol=1e-4, rtol=0)
    torch.testing.assert_close(walk["a"][:, -1], images["a"].flip(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(walk["a"][1], images["a"][1].expand(4, -1, -1, -1), atol=1e-3, rtol=0)
    with pytest.raises(ValueError, match="no domain 'c'; it has densities of 'a' and 'b'"):
        method.encode(images["a"], "c")


def test_domains_of_unequal_channels_are_refused():
    with pytest.raises(ValueError, match="1 and 3 channels, but a flow cannot change"):
        AlignFlow(1, 3)


def test_data_that_does_not_fit_is_refused(trainer):
    with pytest.raises(ValueError, match=r"data.image_size is 18, but the networks of AlignFlow need a multiple of 4"):
        trainer().fit(make(), Digits(image_size=18))
    with pytest.raises(ValueError, match=r"The data has \[3, 3\] channels"):
        trainer().fit(make(), Digits(channels=3))
    with pytest.raises(
        ValueError, match="18x16 px do not fit AlignFlow: its networks need sides that are multiples of 4"
    ):
        make().encode(torch.zeros(1, 1, 18, 16), "a")


def test_images_of_any_size_are_translated():
    method = make()
    images = 2 * torch.rand(1, 1, 18, 13) - 1
    translated = method.translate(images, "a2b")
    assert translated.shape == images.shape
    padded = torch.cat([images, images[..., -1:].expand(-1, -1, -1, 3)], 3)
    padded = torch.cat([padded, padded[:, :, -1:].expand(-1, -1, 2, -1)], 2)
    assert torch.equal(translated, method.translate(padded, "a2b")[..., :18, :13])


def test_weights_that_leave_nothing_to_learn_are_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        make(adversarial_weight=0.0, likelihood_weight_a=0.0, likelihood_weight_b=0.0)
