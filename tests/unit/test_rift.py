"""RIFT: its terms by hand, partners, noise, the capacity of styles, guides, and what weights of 0 save."""

import math
from functools import partial

import pytest
import torch

from crossdomain import serialization
from crossdomain.datamodules import Digits
from crossdomain.losses import capacity_bits
from crossdomain.methods import RIFT
from crossdomain.metrics import ChannelCapacity
from crossdomain.networks import PatchCritic, StyledResNetGenerator
from crossdomain.optimization import LinearDecay

SMALL = {
    "generator": partial(StyledResNetGenerator, width=4, blocks=1),
    "critic": partial(PatchCritic, width=4, layers=1, norm="none"),
}
GIVEN = {"identity": 2.0, "capacity": 3.0, "recovery": 5.0, "swap": 7.0, "cycle_swap": 11.0, "guess": 13.0}
SWAPS = {"swap_weight": 1.0, "cycle_swap_weight": 3.0}
TINY = 1e-12  # noise that is there and changes nothing


def make(*channels, **options):
    """A small RIFT with weights that are large enough for its styles to matter."""
    method = RIFT(*(channels or (3,)), **{**SMALL, **options})
    for direction in ("a2b", "b2a"):
        for parameter in method.get_submodule(direction).parameters():
            if parameter.ndim > 1:
                torch.nn.init.xavier_normal_(parameter)
    return method


def images(n=2):
    return {d: 2 * torch.rand(n, 3, 16, 16) - 1 for d in "ab"} | {f"attributes_{d}": torch.rand(n, 6) for d in "ab"}


def run(network, x, style=None):
    made = network.model(torch.cat([x, torch.zeros_like(x[:, :1]) if style is None else style], 1))
    return made[:, :3], made[:, 3:]


@pytest.mark.parametrize("capacity_norm", ["squared", "absolute"])
def test_terms_by_hand(capacity_norm):
    """The sheet's formulas, pass by pass; with two images the partner is the other one."""
    weights = {f"{name}_weight": weight for name, weight in GIVEN.items()}
    method = make(cycle_noise=0.0, style_noise=TINY, capacity_norm=capacity_norm, **weights)
    batch = images()
    out = method.generate(batch)
    a2b, b2a, a, b = method.a2b, method.b2a, batch["a"], batch["b"]
    expected, on_fake = {}, {}
    for d, x, y, there, back in (("a", a, b, a2b, b2a), ("b", b, a, b2a, a2b)):
        e = "ba"["ab".index(d)]
        _, style = run(there, x)
        _, style_y = run(back, y)
        partner = style_y.flip(0)
        fake, _ = run(there, x, partner)
        cycled, partner_again = run(back, fake, style)
        same, _ = run(back, x, style)
        with_own, _ = run(back, y, style)
        _, style_again = run(there, with_own)
        swapped, _ = run(back, fake, style_again)
        size = style.square() if capacity_norm == "squared" else style.abs()
        critic, guess = method.get_submodule(f"critic_{e}"), method.get_submodule(f"guess_{d}")
        front, behind = guess(torch.cat([cycled, x], 1)), guess(torch.cat([x, cycled], 1))
        expected |= {
            f"adversarial_{e}": (critic(fake) - 1).square().mean(),
            f"cycle_{d}": 10 * (cycled - x).abs().mean(),
            f"identity_{d}": 2 * (same - x).abs().mean(),
            f"capacity_{d}": 3 * size.mean(),
            f"recovery_{e}": 5 * (partner_again - partner).abs().mean(),
            f"swap_{d}": 7 * (style_again - style).abs().mean(),
            f"cycle_swap_{d}": 11 * (swapped - x).abs().mean(),
            f"guess_{d}": 13 * (front.square().mean() + (behind - 1).square().mean()),
        }
        on_fake[e] = (critic(y) - 1).square().mean() + critic(fake).square().mean()
        on_fake[f"guess_{d}"] = (front - 1).square().mean() + behind.square().mean()
    terms = method.generator_loss(batch, out)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=lambda text, name=name: f"{name}: {text}")
    terms = method.critic_loss(batch, {name: value.detach() for name, value in out.items()})
    assert set(terms) == set(on_fake)
    for name, value in on_fake.items():
        torch.testing.assert_close(terms[name], value)


def test_partners_change_and_are_never_the_image_itself():
    method = make()
    shifts = set()
    for _ in range(30):
        out = method.generate(images(4))
        for d in "ab":
            distances = torch.cdist(out[f"partner_{d}"].flatten(1), out[f"style_{d}"].flatten(1))
            assert (distances.diagonal() > 1e-3).all()
            shifts.add(int(distances.argmin(1)[0]))
    assert shifts == {1, 2, 3}
    with pytest.raises(ValueError, match=r"holds 1 of domain a and 1 of b.\nSet data.batch_size to 2 or more"):
        method.generate(images(1))


def inputs(method):
    """What each pass of the generators is given, as it happens."""
    seen = []
    for direction in ("a2b", "b2a"):
        network = method.get_submodule(direction)
        network.register_forward_pre_hook(lambda _, given, way=direction: seen.append((way, *given)))
    return seen


def test_noise_is_on_images_and_maps_but_where_styles_are_read_and_in_translations():
    method, batch = make(cycle_noise=0.5, style_noise=0.25).eval(), images(16)
    seen = inputs(method)
    out = method.generate(batch)
    for (way, x, style), d in zip(seen[:2], "ab", strict=True):
        assert way[0] == d
        assert torch.equal(x, batch[d])
        assert not style.any()
    translate, _, back, _ = seen[2:]
    added = (
        translate[1] - torch.cat([batch["a"], batch["b"]]),
        translate[2] - torch.cat([out["partner_b"], out["style_b"]]),
    )
    added += back[1] - out["fake_b"], back[2] - out["style_a"]
    for noise, sigma in zip(added, (0.5, 0.25, 0.5, 0.25), strict=True):
        assert noise.std().item() == pytest.approx(sigma, rel=0.03)
        assert abs(noise.mean().item()) < 0.02
    seen.clear()
    a, b = batch["a"], batch["b"]
    output = method.translate(a, "a2b", guide=b)
    torch.testing.assert_close(output, run(method.a2b, a, run(method.b2a, b)[1])[0])
    assert torch.equal(seen[0][1], b)
    assert torch.equal(seen[1][1], a)


def test_noise_in_translations_is_an_option_and_comes_from_the_seed():
    method, batch = make(test_noise=True).eval(), images()
    translate = partial(method.translate, batch["a"], "a2b", guide=batch["b"])
    many = translate(samples=3, seed=5)
    assert many.shape == (2, 3, 3, 16, 16)
    assert torch.equal(many, translate(samples=3, seed=5))
    assert (many[:, 0] - many[:, 1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="gives one output"):
        make().translate(batch["a"], "a2b", guide=batch["b"], samples=2)


@pytest.mark.parametrize(
    ("options", "images_in", "calls"),
    [
        ({"identity_weight": 0.0, "recovery_weight": 0.0}, 3, 6),
        ({}, 4, 6),
        (SWAPS | {"cycle_swap_weight": 0.0}, 6, 6),
        (SWAPS, 7, 8),
    ],
)
def test_what_weighs_nothing_is_not_computed(options, images_in, calls):
    """Of 14 passes with all terms 8 are left without swaps, and 6 without identity; joined to 3 or 4 a generator."""
    method, n = make(**options), 2
    seen = inputs(method)
    method.generate(images(n))
    assert len(seen) == calls
    assert sum(len(x) for _, x, _ in seen) == 2 * images_in * n


def test_joined_passes_are_those_that_were_run_alone():
    method, x, style = make(cycle_noise=0.0, style_noise=TINY), images(3), torch.rand(3, 1, 16, 16)
    joined = method.styles.passes("a2b", {"read": (x["a"], None), "go": (x["b"], style)})
    for name, pair in {"read": (x["a"], None), "go": (x["b"], style)}.items():
        for one, other in zip(joined[name], method.styles.passes("a2b", {"alone": pair})["alone"], strict=True):
            torch.testing.assert_close(one, other)


def test_pools_hold_translations_alone():
    method, batch = make(pool_size=100), images(4)
    for rounds in range(1, 4):
        out = method.generate(batch)
        for d in "ab":
            held = getattr(method, f"pool_{d}").images
            assert len(held) == 4 * rounds
            assert torch.equal(held[-4:], out[f"fake_{d}"])


def test_each_player_moves_its_own_networks_alone(trainer, snapshot):
    owned = {"generator": {"a2b", "b2a"}, "critic": {"critic_a", "critic_b", "guess_a", "guess_b"}}
    assert list(make().players) == list(owned)
    for player, networks in owned.items():
        method = make(**SWAPS)
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=4, channels=3))
        assert {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])} == networks


def test_the_penalty_rises_to_its_weight():
    method, batch = make(capacity_weight=8.0, capacity_rounds=4), images()
    out = method.generate(batch)
    weights = []
    for method.rounds in (0, 1, 3, 4, 100):
        term = method.generator_loss(batch, out)["capacity_a"]
        weights.append((term / out["style_a"].square().mean()).item())
    assert weights == pytest.approx([2, 4, 8, 8, 8], rel=1e-4)


def test_capacity_in_bits():
    style = torch.tensor([[0.5, -0.5], [1.0, 0.0]]).view(2, 1, 1, 2)  # mean square 1.5 / 4
    bits = 2 * math.log2(1 + 0.375 / 0.25)
    assert capacity_bits(style.square().mean(), 2, 0.5).item() == pytest.approx(bits)
    metric = ChannelCapacity(0.5)
    for one in style.split(1):
        metric.update(one)
    assert metric.compute().item() == pytest.approx(bits)


def test_capacity_is_logged_in_training_and_over_the_val_split(trainer, tensors):
    method, batch = make(style_noise=0.5), images(6)
    data = tensors(*({d: batch[d], f"attributes_{d}": batch[f"attributes_{d}"]} for d in "ab"), batch_size=4)
    train = trainer(limit_train_batches=1)
    train.fit(method, data)
    for d in "ab":
        power = float(method.last_terms[f"generator_capacity_{d}"]) / method.capacity_weight
        bits = 256 * math.log2(1 + power / 0.25)
        assert float(train.callback_metrics[f"train/capacity_bits_{d}"]) == pytest.approx(bits, rel=1e-4)
        power = float(method.encode(batch[d], d).square().mean())
        bits = 256 * math.log2(1 + power / 0.25)
        assert float(train.callback_metrics[f"val/capacity_bits_{d}"]) == pytest.approx(bits, rel=1e-4)
    method = make(style_noise=0.0, capacity_weight=0.0)
    (free := trainer(limit_train_batches=1)).fit(method, data)
    assert not any("capacity" in name for name in free.callback_metrics)


def test_the_learning_rate_decays_by_epochs_or_rounds(trainer):
    for interval, rate in (("epoch", 2 / 3), ("step", 0.0)):
        method = make(schedule=partial(LinearDecay, constant=1, decay=2), schedule_interval=interval)
        train = trainer(max_epochs=1, limit_train_batches=4, limit_val_batches=0)
        train.fit(method, Digits(batch_size=4, channels=3))
        assert [o.param_groups[0]["lr"] for o in train.optimizers] == pytest.approx([2e-4 * rate] * 2)


def test_a_checkpoint_rebuilds_it(trainer, tmp_path):
    method = make(**SWAPS, cycle_noise=0.3)
    train = trainer(limit_train_batches=2, limit_val_batches=0)
    train.fit(method, Digits(batch_size=4, channels=3))
    train.save_checkpoint(tmp_path / "r.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "r.ckpt"))
    batch = images()
    first, second = (m.eval().translate(batch["b"], "b2a", guide=batch["a"]) for m in (method, again))
    assert torch.equal(first, second)
    assert again.weights == method.weights
    assert again.styles.image_noise == 0.3


def test_guides_that_do_not_fit_are_refused():
    method, x = make(), torch.zeros(2, 3, 16, 16)
    for guide, message in (
        (None, "needs a guide of the target domain"),
        (torch.zeros(2, 3, 24, 32), "guide has 24x32 px, the image 16x16 px"),
        (torch.zeros(2, 1, 16, 16), r"takes \(N, 3, H, W\)"),
        (torch.zeros(3, 3, 16, 16), "3 guides for 2 images"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            method.translate(x, "a2b", guide=guide)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_noise": 0.0}, r"without noise.\nSet model.style_noise above 0"),
        ({"style_noise": -1.0}, "style_noise is -1.0, but has to be at least 0"),
        (
            {"channels_b": 1},
            r"3 and 1 channels, but the identity term needs equal ones.\nSet model.identity_w",
        ),
        ({"cycle_weight_a": 0.0}, "defend cycles"),
        ({"capacity_norm": "l1"}, "'squared' or 'absolute'"),
        ({"capacity_rounds": -1}, "capacity_rounds is -1, but has to be at least 0"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_domains_of_other_channels():
    method = make(3, 1, identity_weight=0.0, **SWAPS)
    batch = {"a": torch.rand(2, 3, 16, 16), "b": torch.rand(2, 1, 16, 16)}
    assert method.generate(batch)["fake_b"].shape == (2, 1, 16, 16)
    assert method.translate(batch["b"], "b2a", guide=batch["a"]).shape == (2, 3, 16, 16)
    assert method.encode(batch["b"], "b").shape == (2, 1, 16, 16)
    with pytest.raises(ValueError, match="domain is 'c'"):
        method.encode(batch["b"], "c")
