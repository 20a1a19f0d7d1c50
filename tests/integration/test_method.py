"""The shared training step, proved on methods of four other shapes than the zoo's first two."""

from functools import partial

import pytest
import torch
from helpers.conformance import Guided, OneWay, SingleDomain, ThreePlayers
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from crossdomain import serialization
from crossdomain.losses import Wasserstein
from crossdomain.method import frozen
from crossdomain.optimization import LinearDecay

SGD = partial(torch.optim.SGD, lr=0.1)


def images(n, channels=1, size=4):
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8)


def test_turns_repeat_and_skip_players_on_one_batch(trainer, tensors):
    method = SingleDomain(1, optimizer=SGD)
    trainer().fit(method, tensors({"a": images(8)}))
    first = [("generate", True)] + [("critic", False), ("after_step", "critic")] * 3
    first += [("generator", True), ("after_step", "generator")]
    second = [("generate", False)] + [("critic", False), ("after_step", "critic")] * 3
    assert method.calls == first + second
    assert method.rounds == 2
    assert method.images_seen == 8


def test_after_step_clips_weights(trainer, tensors):
    method = SingleDomain(1, optimizer=SGD)
    trainer().fit(method, tensors({"a": images(8)}))
    assert max(p.abs().max() for p in method.critic.parameters()) <= 0.01


def test_a_player_that_sits_out_does_not_move(trainer, tensors, snapshot):
    method = SingleDomain(1, critic_turns=0, optimizer=SGD)
    before = snapshot(method)
    trainer().fit(method, tensors({"a": images(8)}))
    moved = {name for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"net.weight", "net.bias"}


def test_generator_that_moves_twice_sees_a_fresh_pass(trainer, tensors):
    method = SingleDomain(1, critic_turns=0, optimizer=SGD)
    method.turns = lambda player, round: 2 if player == "generator" else 0
    trainer(limit_train_batches=1).fit(method, tensors({"a": images(8)}))
    assert [call for call in method.calls if call[0] != "after_step"] == [
        ("generate", True), ("generator", True), ("generate", True), ("generator", True),
    ]  # fmt: skip


def test_three_players_on_vectors_move_by_their_own_gradients(trainer, tensors):
    a, b = torch.randn(8, 2) + 3, torch.randn(8, 2)
    method = ThreePlayers(2, optimizer=SGD, density_a_optimizer=partial(torch.optim.SGD, lr=0.5))
    trainer().fit(method, tensors({"a": a}, {"b": b}, batch_size=8))
    # One gradient step by hand, from zero: d/dm of -E log N(x - m) is -E (x - m).
    torch.testing.assert_close(method.private_a.mean.data, 0.5 * a.mean(0))
    torch.testing.assert_close(method.private_b.mean.data, 0.1 * b.mean(0))
    torch.testing.assert_close(method.shared.mean.data, 0.1 * (a.mean(0) + b.mean(0)))
    torch.testing.assert_close(method.shift[0].data, -0.1 * a.mean(0))


def test_player_without_optimizer_of_its_own_takes_the_default():
    method = ThreePlayers(2, optimizer=SGD, density_a_optimizer=partial(torch.optim.SGD, lr=0.5))
    optimizers, schedules = method.configure_optimizers()
    assert [o.param_groups[0]["lr"] for o in optimizers] == [0.5, 0.1, 0.1]
    assert schedules == []


def test_schedules_count_epochs_or_rounds(trainer, tensors):
    a, b = torch.randn(8, 2), torch.randn(8, 2)
    decay = partial(LinearDecay, constant=0, decay=3)
    for interval, factor in (("epoch", 1 / 4), ("step", 0.0)):
        method = ThreePlayers(2, optimizer=SGD, generator_schedule=decay, schedule_interval=interval)
        run = trainer(max_epochs=2)
        run.fit(method, tensors({"a": a}, {"b": b}))
        rates = [o.param_groups[0]["lr"] for o in run.optimizers]
        assert rates == pytest.approx([0.1, 0.1 * factor, 0.1])


def test_gradient_clip_bounds_the_update(trainer, tensors):
    method = ThreePlayers(2, optimizer=SGD, gradient_clip=0.5)
    trainer().fit(method, tensors({"a": torch.randn(8, 2) + 30}, {"b": torch.randn(8, 2)}, batch_size=8))
    assert method.private_a.mean.data.norm() == pytest.approx(0.1 * 0.5, rel=1e-4)


def gradient_norms(trainer, tensors, precision, optimizer, clip):
    """The norm of each player's gradient as its optimizer takes it, over the factor of a scaler that it has still."""
    norms = []
    method = ThreePlayers(2, optimizer=optimizer, density_a_optimizer=optimizer, gradient_clip=clip)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if precision == "16-mixed" else None
    chosen = {"plugins": [MixedPrecision(precision, "cpu", scaler)]} if scaler else {"precision": precision}

    def spied(step):
        def wrapper(self, *args, **kwargs):
            gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            if "closure" in kwargs and kwargs["closure"] is not None:
                kwargs["closure"]()  # Lightning clips there
                kwargs["closure"] = None
            norm = torch.cat([gradient.flatten().double() for gradient in gradients]).norm()
            scale = getattr(self, "grad_scale", None)
            norms.append(float(norm / (1 if scale is None else scale)))
            return step(self, *args, **kwargs)

        return wrapper

    cls = optimizer.func
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "step", spied(cls.step))
        data = tensors({"a": torch.randn(8, 2) + 30}, {"b": torch.randn(8, 2) - 20}, batch_size=8)
        trainer(limit_val_batches=0, **chosen).fit(method, data)
    return norms


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed"])
@pytest.mark.parametrize("fused", [True, False])
def test_gradient_clip_works_in_every_precision(precision, fused, trainer, tensors):
    optimizer = partial(torch.optim.Adam, lr=0.1, fused=fused)
    whole = gradient_norms(trainer, tensors, precision, optimizer, None)
    clipped = gradient_norms(trainer, tensors, precision, optimizer, 0.5)
    assert len(whole) == len(clipped) == 3
    assert min(whole) > 5
    assert clipped == pytest.approx([0.5] * 3, rel=0.02)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (torch.optim.LBFGS, "density_a is LBFGS, which computes the loss several times"),
        (torch.optim.SparseAdam, "density_a is SparseAdam, which takes sparse gradients"),
    ],
)
def test_optimizers_that_cannot_move_a_player_are_refused(optimizer, message):
    with pytest.raises(ValueError, match=f"The optimizer of {message}"):
        ThreePlayers(2, optimizer=SGD, density_a_optimizer=optimizer).configure_optimizers()


def test_a_schedule_may_follow_a_metric(trainer, tensors):
    plateau = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.1)
    values = iter([9.0, 8.0, 8.5, 7.0, 7.5])
    method = ThreePlayers(2, optimizer=SGD, generator_schedule=plateau, schedule_monitor="val/own")
    method.on_validation_epoch_end = lambda: method.log("val/own", next(values))
    run = trainer(max_epochs=5, limit_val_batches=1)
    run.fit(method, tensors({"a": torch.randn(8, 2)}, {"b": torch.randn(8, 2)}))
    assert [o.param_groups[0]["lr"] for o in run.optimizers] == pytest.approx([0.1, 0.1 * 0.1**2, 0.1])


def test_a_schedule_that_follows_a_metric_says_what_it_lacks(trainer, tensors):
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    data = tensors({"a": torch.randn(8, 2)}, {"b": torch.randn(8, 2)})
    with pytest.raises(
        ValueError, match=r"of density_a is ReduceLROnPlateau.*none is named.\nGive model.schedule_monitor"
    ):
        trainer().fit(ThreePlayers(2, optimizer=SGD, schedule=plateau), data)
    method = ThreePlayers(2, optimizer=SGD, schedule=plateau, schedule_monitor="val/mse")
    with pytest.raises(ValueError, match=r"model.schedule_monitor is 'val/mse', but the validation has no such metric"):
        trainer(limit_val_batches=1).fit(method, data)


def test_accumulation_averages_rounds(trainer, tensors):
    a, b = torch.randn(8, 2), torch.randn(8, 2)
    method = ThreePlayers(2, optimizer=SGD, accumulate=2)
    trainer().fit(method, tensors({"a": a}, {"b": b}, batch_size=4))
    torch.testing.assert_close(method.private_a.mean.data, 0.1 * a.mean(0))


def test_what_is_left_at_the_end_of_an_epoch_makes_an_update_of_its_own(trainer, tensors):
    a, b = torch.randn(12, 2), torch.randn(12, 2)
    method = ThreePlayers(2, optimizer=SGD, accumulate=2)
    means = []
    method.on_train_batch_end = lambda *args: means.append(method.private_a.mean.detach().clone())
    data = tensors({"a": a}, {"b": b}, batch_size=4)
    trainer(max_epochs=2).fit(method, data)
    changes = [not torch.equal(x, y) for x, y in zip([torch.zeros(2), *means], means, strict=False)]
    # Epochs of three rounds: updates after rounds 2, 3 (an epoch's end), 4 and 6; no gradient is used twice.
    assert changes == [False, True, True, True, False, True]
    assert all(p.grad is None for p in method.parameters())


def test_critics_take_several_turns_and_generators_their_interval(trainer, tensors):
    method = OneWay(1, critic_turns=2, generator_interval=3, optimizer=SGD)
    moves = []
    method.after_step = lambda player: moves.append((method.rounds, player))
    trainer(max_epochs=3).fit(method, tensors({"a": images(8), "truth_a2b": images(8)}, {"b": images(8)}))
    assert moves == [
        (r, player) for r in range(6) for player in ["critic"] * 2 + ["generator"] * (r in (2, 5))
    ]  # fmt: skip
    assert [ThreePlayers(2, critic_turns=2).turns(p, 0) for p in ("density_a", "generator", "density_b")] == [1, 1, 1]


def test_objectives_constrain_critics_after_each_of_their_updates(trainer, tensors):
    method = OneWay(1, critic_turns=2, optimizer=SGD)
    method.objective = Wasserstein(clip=0.03)
    seen = []
    constrain = method.objective.constrain
    method.objective.constrain = lambda parameters: seen.append(len(parameters)) or constrain(parameters)
    trainer(limit_train_batches=1).fit(method, tensors({"a": images(8), "truth_a2b": images(8)}, {"b": images(8)}))
    assert seen == [2, 2]
    assert max(p.abs().max() for p in method.critic.parameters()) <= 0.03
    assert max(p.abs().max() for p in method.net.parameters()) > 0.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"critic_turns": 0}, "critic_turns is 0, but has to be at least 1"),
        ({"generator_interval": -1}, "generator_interval is -1, but has to be at least 1"),
        (
            {"generator_interval": 2, "accumulate": 2},
            r"accumulate is 2, but it averages rounds.*\nLeave model.critic_tu",
        ),
        (
            {"critic_turns": 2, "accumulate": 2},
            "accumulate is 2, but it averages rounds in which every player moves once",
        ),
    ],
)
def test_turns_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OneWay(1, **options)


def test_accumulation_and_repeated_turns_are_refused_together(trainer, tensors):
    with pytest.raises(ValueError, match="accumulate cannot be combined"):
        trainer().fit(SingleDomain(1, accumulate=2, optimizer=SGD), tensors({"a": images(8)}))


def test_supervised_method_refuses_a_batch_without_truth(trainer, tensors):
    with pytest.raises(ValueError, match="learns from pairs"):
        trainer().fit(OneWay(1, optimizer=SGD), tensors({"a": images(8)}, {"b": images(8)}))


@pytest.mark.parametrize("direction", ["a2b", "b2a"])
def test_one_way_method_trains_and_logs_its_direction_alone(trainer, tensors, direction):
    a, b = images(8), images(8, 2)
    data = tensors({"a": a, "truth_a2b": b}, {"b": b, "truth_b2a": a})
    run = trainer()
    run.fit(OneWay(1, 2, direction=direction, optimizer=SGD), data)
    metrics = {name for name in run.callback_metrics if name.startswith("val/")}
    assert metrics == {f"val/mse_{direction}", f"val/psnr_{direction}", f"val/diversity_{direction}"}


def test_latent_loss_moves_the_generator_but_not_the_frozen_encoder(trainer, tensors, snapshot):
    a = images(8)
    method = OneWay(1, optimizer=SGD)
    before = snapshot(method)
    trainer().fit(method, tensors({"a": a, "truth_a2b": a}, {"b": a}))
    moved = {name.partition(".")[0] for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"net", "critic"}
    assert all(p.requires_grad for p in method.parameters())


def test_frozen_lets_gradients_through_and_leaves_frozen_parameters_frozen():
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    x = torch.ones(1, 2, requires_grad=True)
    with frozen(net):
        loss = net(x).sum()
    loss.backward()
    assert net.weight.grad is None
    torch.testing.assert_close(x.grad, net.weight.detach())
    assert net.weight.requires_grad
    assert not net.bias.requires_grad


def test_samples_come_from_the_seed():
    method = OneWay(1)
    x = torch.rand(2, 1, 4, 4)
    many = method.translate(x, "a2b", samples=3, seed=5)
    assert many.shape == (2, 3, 1, 4, 4)
    assert torch.equal(many, method.translate(x, "a2b", samples=3, seed=5))
    assert not torch.equal(many[:, 0], many[:, 1])
    assert torch.equal(many[:, 0], method.translate(x, "a2b", seed=5))
    assert not torch.equal(many, method.translate(x, "a2b", samples=3, seed=6))


def test_guide_decides_its_part_of_the_output(trainer, tensors):
    method = Guided(2, optimizer=SGD)
    a, guide = torch.rand(2, 2, 4, 4), torch.rand(2, 2, 4, 4)
    expected = method.a2b(torch.cat([a[:, :1], guide[:, 1:]], 1))
    torch.testing.assert_close(method.translate(a, "a2b", guide=guide), expected)
    run = trainer()
    run.fit(method, tensors({"a": images(8, 2)}, {"b": images(8, 2), "truth_b2a": images(8, 2)}))
    assert {n for n in run.callback_metrics if n.startswith("val/")} == {"val/mse_b2a", "val/psnr_b2a"}


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((torch.zeros(2, 1, 4, 4), "b2a"), {}, "has no direction 'b2a'; its directions: a2b"),
        ((torch.zeros(2, 3, 4, 4), "a2b"), {}, r"\(2, 3, 4, 4\), but OneWay takes \(N, 1, H, W\)"),
        ((torch.zeros(2, 1, 4, 4), "a2b"), {"guide": torch.zeros(2, 1, 4, 4)}, "takes no guide"),
        ((torch.zeros(2, 1, 4, 4), "a2b"), {"samples": 0}, "samples is 0"),
    ],
)
def test_translate_refuses_what_it_cannot_do(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        OneWay(1).translate(*arguments, **options)


def test_guided_translate_needs_one_guide_each():
    method, x = Guided(2), torch.zeros(2, 2, 4, 4)
    with pytest.raises(ValueError, match="needs a guide"):
        method.translate(x, "a2b")
    with pytest.raises(ValueError, match="3 guides for 2 images"):
        method.translate(x, "a2b", guide=torch.zeros(3, 2, 4, 4))
    with pytest.raises(ValueError, match="gives one output"):
        method.translate(x, "a2b", guide=x, samples=2)


@pytest.mark.parametrize("method", [SingleDomain(1, critic_turns=2), ThreePlayers(2), Guided(2), OneWay(1, 2, "b2a")])
def test_every_shape_of_method_is_stored_and_rebuilt(method, trainer, tensors, tmp_path):
    if isinstance(method, ThreePlayers):
        data = tensors({"a": torch.randn(8, 2)}, {"b": torch.randn(8, 2)})
    else:
        a, b = images(8, method.channels["a"]), images(8, method.channels["b"])
        data = tensors({"a": a, "truth_a2b": b}, {"b": b, "truth_b2a": a})
    run = trainer()
    run.fit(method, data)
    run.save_checkpoint(tmp_path / "x.ckpt")
    checkpoint = serialization.read(tmp_path / "x.ckpt")
    again = serialization.rebuild(checkpoint)
    assert type(again) is type(method)
    assert again.rounds == method.rounds == 2
    for name, value in method.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    pools = checkpoint["crossdomain"]["processes"][0]["pools"]
    assert ({name: len(p["images"]) for name, p in pools.items()} == {"pool": 2}) == isinstance(method, SingleDomain)
