"""MUNIT: its losses by hand, the order of moves, styles that are drawn and styles of a guide, the paper's sizes."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from crossdomain import hub, serialization
from crossdomain.datamodules import Digits
from crossdomain.methods import MUNIT
from crossdomain.networks import MUNITCritic, MUNITGenerator
from crossdomain.recipes import read_recipe

SMALL = {
    "generator": partial(MUNITGenerator, width=4, blocks=1, style_halvings=2, hidden=8),
    "critic": partial(MUNITCritic, width=4, layers=2, scales=2),
    "latent": 3,
}
GIVEN = {"adversarial": 2.0, "image": 3.0, "style": 5.0, "content": 7.0, "cycle": 11.0}


def make(**options):
    return MUNIT(2, 3, **{**SMALL, **options})


@pytest.fixture
def batch():
    return {"a": 2 * torch.rand(4, 2, 16, 16) - 1, "b": 2 * torch.rand(4, 3, 16, 16) - 1}


def least_squares(logits, target):
    return sum((scale - target).square().mean() for scale in logits)


def test_losses_by_hand(batch, monkeypatch):
    method = make(**{f"{name}_weight": weight for name, weight in GIVEN.items()})
    nets = {d: method.get_submodule(f"generator_{d}") for d in "ab"}
    critics = {d: method.get_submodule(f"critic_{d}") for d in "ab"}
    drawn = []
    monkeypatch.setattr(method, "_draw", lambda n, noise=None: drawn.append(torch.randn(n, 3)) or drawn[-1])
    out = method.generate(batch)
    z = {"b": drawn[0], "a": drawn[1]}
    codes = {d: nets[d].encode(batch[d]) for d in "ab"}
    terms = method.generator_loss(batch, out)
    expected = {}
    for source, target in ("ab", "ba"):
        fake = nets[target].decode(codes[source][0], z[target])
        content, style = nets[target].encode(fake)
        rebuilt = nets[source].decode(*codes[source])
        back = nets[source].decode(content, codes[source][1])
        expected |= {
            f"adversarial_{target}": 2 * least_squares(critics[target](fake), 1),
            f"image_{source}": 3 * (rebuilt - batch[source]).abs().mean(),
            f"style_{target}": 5 * (style - z[target]).abs().mean(),
            f"content_{source}": 7 * (content - codes[source][0]).abs().mean(),
            f"cycle_{source}": 11 * (back - batch[source]).abs().mean(),
        }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)

    terms = method.critic_loss(batch, {name: value.detach() for name, value in out.items()})
    assert len(drawn) == 4  # the critics' own
    for source, target, mine in (("a", "b", drawn[2]), ("b", "a", drawn[3])):
        fake = nets[target].decode(codes[source][0], mine)
        on_real, on_fake = critics[target](batch[target]), critics[target](fake)
        torch.testing.assert_close(terms[target], 2 * (least_squares(on_real, 1) + least_squares(on_fake, 0)))


def test_no_cycle_by_default(batch):
    method = make()
    out = method.generate(batch)
    assert not {"cycle_a", "cycle_b"} & set(out)
    names = {"adversarial", "image", "style", "content"}
    assert set(method.generator_loss(batch, out)) == {f"{name}_{d}" for name in names for d in "ab"}


def test_critics_move_first_and_each_player_its_own_networks_alone(trainer, snapshot):
    data = Digits(batch_size=8, channels=3)
    method = MUNIT(3, **SMALL)
    assert list(method.players) == ["critic", "generator"]
    owned = {"generator": {"generator_a", "generator_b"}, "critic": {"critic_a", "critic_b"}}
    for player, networks in owned.items():
        method = MUNIT(3, **SMALL)
        method.turns = lambda p, round, player=player: int(p == player)
        before = snapshot(method)
        trainer(limit_train_batches=1, limit_val_batches=0).fit(method, data)
        moved = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
        assert moved == networks
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method := MUNIT(3, **SMALL), data)
    assert list(method.last_terms)[:2] == ["critic_b", "critic_a"]
    assert method.pools() == {}


def test_networks_of_the_paper():
    network = MUNITGenerator(3, 8)
    size = lambda *parts: sum(p.numel() for part in parts for p in part.parameters())  # noqa: E731
    assert size(network.content_encoder) == 5_385_856
    assert size(network.style_encoder) == 2_764_936
    assert size(network.blocks, network.enlarge) == 5_754_627
    assert size(network.adaption) == 1_120_768
    assert size(network) == 15_026_187
    assert size(MUNITCritic(3, 1)) == 8_271_171
    content, style = network.encode(torch.zeros(1, 3, 64, 64))
    assert content.shape == (1, 256, 16, 16)
    assert style.shape == (1, 8)
    assert [tuple(x.shape) for x in MUNITCritic(3, 1, width=4)(torch.zeros(1, 3, 64, 64))] == [
        (1, 1, 4, 4), (1, 1, 2, 2), (1, 1, 1, 1)
    ]  # fmt: skip


def test_a_style_sets_mean_and_deviation_of_features():
    block = MUNITGenerator(3, 8, width=4, blocks=1).blocks[0].double()
    x, given = torch.randn(2, 16, 8, 8).double(), torch.randn(2, 4, 16).double()
    added = block(x, given) - x
    deviation, mean = torch.std_mean(added, (2, 3), correction=0)
    torch.testing.assert_close(mean, given[:, 2])
    torch.testing.assert_close(deviation, given[:, 3].abs(), rtol=1e-3, atol=1e-3)
    first = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), block.first[1].weight, block.first[1].bias)
    deviation, mean = torch.std_mean(first, (2, 3), correction=0, keepdim=True)
    shifts = given[..., None, None]
    inside = F.relu((first - mean) / (deviation**2 + 1e-5).sqrt() * shifts[:, 1] + shifts[:, 0])
    again = F.conv2d(F.pad(inside, (1, 1, 1, 1), "reflect"), block.second[1].weight, block.second[1].bias)
    torch.testing.assert_close(added, F.instance_norm(again) * shifts[:, 3] + shifts[:, 2])


def test_styles_are_drawn_or_those_of_a_guide(batch):
    method = make().eval()
    samples = method.translate(batch["a"], "a2b", samples=3, seed=1)
    assert samples.shape == (4, 3, 3, 16, 16)
    assert torch.equal(samples, method.translate(batch["a"], "a2b", samples=3, seed=1))
    assert (samples[:, 0] - samples[:, 1]).abs().max() > 1e-3
    content, _ = method.generator_a.encode(batch["a"])
    guided = method.translate(batch["a"], "a2b", guide=batch["b"])
    torch.testing.assert_close(guided, method.generator_b.decode(content, method.encode(batch["b"], "b")))
    larger = torch.nn.functional.interpolate(batch["b"], 24)
    assert method.translate(batch["a"], "a2b", guide=larger).shape == (4, 3, 16, 16)
    with pytest.raises(ValueError, match="domain is 'c', but has to be 'a' or 'b'"):
        method.encode(batch["a"], "c")
    with pytest.raises(ValueError, match="latent is 0, but has to be at least 1"):
        make(latent=0)


@pytest.mark.parametrize("n", [1, 3])
def test_any_batch_size_trains_and_a_checkpoint_rebuilds_it(n, trainer, tmp_path):
    method = MUNIT(3, **SMALL, cycle_weight=10.0)
    run = trainer(limit_train_batches=2, limit_val_batches=0)
    run.fit(method, Digits(batch_size=n, channels=3))
    assert all(bool(term.isfinite()) for term in method.last_terms.values())
    run.save_checkpoint(tmp_path / "m.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "m.ckpt"))
    images = 2 * torch.rand(2, 3, 16, 16) - 1
    assert torch.equal(again.translate(images, "b2a", seed=3), method.eval().translate(images, "b2a", seed=3))
    assert again.weights == method.weights


@pytest.mark.parametrize("data", ["", "_shapes"])
def test_munitx_is_munit_with_cycles(data):
    plain, cycled = (read_recipe(hub.find_recipe(f"{name}{data}")) for name in ("munit", "munitx"))
    assert cycled["model"]["init_args"].pop("cycle_weight") == 10.0
    assert plain == cycled
