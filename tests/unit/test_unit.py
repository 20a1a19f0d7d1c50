"""UNIT: its losses by hand, which noise goes where, blocks that both domains share, the paper's sizes."""

from functools import partial

import pytest
import torch

from crossdomain import callbacks, serialization
from crossdomain.datamodules import Digits
from crossdomain.methods import UNIT
from crossdomain.networks import MUNITCritic, ResNetGenerator, UNITGenerator

SMALL = {
    "generator": partial(UNITGenerator, width=4, blocks=2, halvings=1),
    "critic": partial(MUNITCritic, width=4, layers=2, scales=2),
}
CODE = (4, 8, 8, 8)


@pytest.fixture
def batch():
    return {"a": 2 * torch.rand(4, 2, 16, 16) - 1, "b": 2 * torch.rand(4, 3, 16, 16) - 1}


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def draws(seed, *names):
    torch.manual_seed(seed)
    return {name: torch.randn(CODE) for name in names}


def far_from(target, logits):
    return sum((scale - target).square().mean() for scale in logits)


def test_losses_by_hand(batch):
    given = {"adversarial": 2.0, "image": 3.0, "kl": 5.0, "cycle": 7.0, "cycle_kl": 11.0}
    method = UNIT(2, 3, **SMALL, **{f"{name}_weight": weight for name, weight in given.items()})
    coders = {"a": method.generator_a, "b": method.generator_b}
    critics = {"a": method.critic_a, "b": method.critic_b}
    noise = draws(1, "a", "back_a", "b", "back_b")
    torch.manual_seed(1)
    out = method.generate(batch)
    terms, expected = method.generator_loss(batch, out), {}
    for d, other in ("ab", "ba"):
        code = coders[d].encoder(batch[d])
        noisy = code + noise[d]
        translation = coders[other].decode(noisy)
        found = coders[other].encoder(translation)
        back = coders[d].decode(found + noise[f"back_{d}"])
        expected |= {
            f"adversarial_{other}": 2 * far_from(1, critics[other](translation)),
            f"image_{d}": 3 * (coders[d].decode(noisy) - batch[d]).abs().mean(),
            f"kl_{d}": 5 * (code**2).mean(),
            f"cycle_{d}": 7 * (back - batch[d]).abs().mean(),
            f"cycle_kl_{d}": 11 * (found**2).mean(),
        }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)

    noise = draws(2, "a", "b")  # the critics' own
    torch.manual_seed(2)
    terms = method.critic_loss(batch, {name: value.detach() for name, value in out.items()})
    for source, target in ("ab", "ba"):
        shown = coders[target].decode(coders[source].encoder(batch[source]) + noise[source])
        loss = far_from(1, critics[target](batch[target])) + far_from(0, critics[target](shown))
        torch.testing.assert_close(terms[target], 2 * loss)


def test_defaults_are_the_official_weights(batch):
    method = UNIT(2, 3, **{**SMALL, "critic": partial(MUNITCritic, width=2, layers=1, scales=3)})
    for critic in (method.critic_a, method.critic_b):
        for parameter in critic.parameters():
            parameter.data.zero_()
            if parameter.shape == (1,):  # bias of a last convolution: every logit is one half
                parameter.data.fill_(0.5)
    out = method.generate(batch)
    terms = method.generator_loss(batch, out)
    assert terms["adversarial_a"].item() == pytest.approx(3 * 0.25)
    assert method.critic_loss(batch, out)["b"].item() == pytest.approx(3 * 0.5)
    torch.testing.assert_close(terms["image_a"], 10 * (out["image_a"] - batch["a"]).abs().mean())
    torch.testing.assert_close(terms["kl_b"], 0.01 * out["code_b"].square().mean())
    torch.testing.assert_close(terms["cycle_b"], 10 * (out["cycle_b"] - batch["b"]).abs().mean())
    torch.testing.assert_close(terms["cycle_kl_a"], 0.01 * out["cycle_code_a"].square().mean())


def test_without_cycles_nothing_goes_back(batch):
    method = UNIT(2, 3, **SMALL, cycle_weight=0.0, cycle_kl_weight=0.0)
    terms = method.generator_loss(batch, out := method.generate(batch))
    assert set(terms) == {f"{name}_{d}" for name in ("adversarial", "image", "kl") for d in "ab"}
    assert set(out) == {f"{name}_{d}" for name in ("code", "image", "fake") for d in "ab"}


def test_training_draws_codes_and_evaluation_takes_their_means(batch):
    method = UNIT(2, 3, **SMALL)
    assert (method.generate(batch)["fake_b"] - method.generate(batch)["fake_b"]).abs().max() > 1e-2
    expected = method.generator_b.decode(method.encode(batch["a"], "a"))
    torch.testing.assert_close(method.translate(batch["a"], "a2b"), expected)  # in training mode too
    method.eval()
    torch.testing.assert_close(method.generate(batch)["fake_b"], expected)
    assert method.encode(batch["a"], "a").shape == CODE
    with pytest.raises(ValueError, match="domain is 'c', but has to be 'a' or 'b'"):
        method.encode(batch["a"], "c")
    with pytest.raises(ValueError, match="kl_weight is -1, but has to be at least 0"):
        UNIT(1, kl_weight=-1, **SMALL)


def test_neither_player_leaves_gradients_in_the_others_networks(batch, trainer):
    method = UNIT(2, 3, **SMALL)
    out = method.generate(batch)
    sum(method.critic_loss(batch, {name: value.detach() for name, value in out.items()}).values()).backward()
    assert all(p.grad is None for n, p in method.named_parameters() if n.startswith("generator"))
    assert all(p.grad is not None for n, p in method.named_parameters() if n.startswith("critic"))
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method := UNIT(1, **SMALL), Digits(batch_size=4))
    assert [term.partition("_")[0] for term in method.last_terms] == ["critic"] * 2 + ["generator"] * 10
    assert all(p.grad is None for p in method.parameters())
    assert method.pools() == {}


def test_shared_blocks_are_the_same_counted_once_and_moved_by_one_optimizer(trainer, snapshot):
    method, apart = UNIT(1, shared_blocks=1, **SMALL), UNIT(1, **SMALL)
    a, b = method.generator_a, method.generator_b
    assert b.encoder[-1] is a.encoder[-1]
    assert b.blocks[0] is a.blocks[0]
    assert b.encoder[-2] is not a.encoder[-2]
    assert b.blocks[1] is not a.blocks[1]
    assert list(method.players) == ["critic", "generator"]
    optimizer = method.configure_optimizers()[0][1]
    held = [p for group in optimizer.param_groups for p in group["params"]]
    once = parameters(apart.generator_a, apart.generator_b) - parameters(a.encoder[-1], a.blocks[0])
    assert len(held) == len(set(map(id, held)))
    assert sum(p.numel() for p in held) == once == parameters(a, b.encoder[:-1], b.blocks[1], b.enlarge)

    gradients = {}
    for d in "ab":  # both domains' images move them
        (method.generators[d](2 * torch.rand(2, 1, 16, 16) - 1).square().mean()).backward()
        gradients[d] = a.encoder[-1].conv_block[1].weight.grad.clone()
        method.zero_grad()
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())
    before = snapshot(method)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, Digits(batch_size=4))
    assert b.encoder[-1] is a.encoder[-1]
    assert not [n for n, p in method.named_parameters() if n.endswith("weight") and torch.equal(p, before[n])]


def test_shared_blocks_are_shared_again_when_loaded_and_averaged_under_both_names(trainer, tmp_path):
    method = UNIT(1, shared_blocks=2, **SMALL)
    run = trainer(limit_train_batches=3, limit_val_batches=0, callbacks=[average := callbacks.GeneratorEMA(0.5)])
    run.fit(method, Digits(batch_size=4))
    run.save_checkpoint(tmp_path / "method.ckpt")
    again = serialization.rebuild(serialization.read(tmp_path / "method.ckpt"))
    assert again.generator_b.encoder[-2] is again.generator_a.encoder[-2]
    assert again.generator_b.blocks[1] is again.generator_a.blocks[1]
    found = again.player_parameters("generator")
    assert len(found) == len(average._average)
    for parameter, expected in zip(found, average._average, strict=True):
        assert torch.equal(parameter, expected)


def test_blocks_that_are_not_there_cannot_be_shared():
    with pytest.raises(ValueError, match="3 residual blocks cannot be shared: there are 2"):
        UNIT(1, shared_blocks=3, **SMALL)
    with pytest.raises(ValueError, match="shared_blocks is 1, but a ResNetGenerator has none to share"):
        UNIT(1, shared_blocks=1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=SMALL["critic"])


def test_networks_of_the_paper():
    network = UNITGenerator(3, 3)
    assert parameters(network.encoder) == 5_385_856
    assert parameters(network.blocks, network.enlarge) == 5_754_627
    assert parameters(network) == 11_140_483
    assert parameters(UNITGenerator(3, 3, width=32, blocks=2)) == 1_610_435
    assert parameters(UNITGenerator(3, 3, width=32, blocks=2, halvings=1)) == 388_995
    assert parameters(MUNITCritic(3, 1, width=32, layers=3, scales=2)) == 331_458
    assert network.encode(torch.zeros(1, 3, 32, 32)).shape == (1, 256, 8, 8)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert network.total_stride == 4
    sides = [logits.shape[2:] for logits in MUNITCritic(3, 1, width=2)(torch.zeros(1, 3, 256, 256))]
    assert sides == [(16, 16), (8, 8), (4, 4)]


def test_instance_norm_hides_brightness_and_contrast_from_the_code():
    x = (2 * torch.rand(2, 1, 16, 16) - 1).double()
    hidden, seen = (UNITGenerator(1, 1, width=4, blocks=1, norm=norm).double() for norm in ("instance", "none"))
    torch.testing.assert_close(hidden.encode(0.5 * x + 0.2), hidden.encode(x), rtol=1e-3, atol=1e-3)
    assert (seen.encode(0.5 * x + 0.2) - seen.encode(x)).abs().max() > 0.05
