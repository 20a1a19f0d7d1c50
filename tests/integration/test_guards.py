"""What keeps a long run honest: the non-finite guard, the moving average, precision, memory layout."""

from functools import partial

import pytest
import torch

from crossdomain import serialization
from crossdomain.callbacks import GeneratorEMA, NonFiniteGuard, RoundCheckpoint
from crossdomain.capabilities import Classifies
from crossdomain.companion import Companion
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow
from crossdomain.methods import DIDD, DRIT, MUNIT, UNIT, AlignFlow, CycleGAN
from crossdomain.networks import (
    ContentCritic,
    ConvClassifier,
    DIDDGenerator,
    DRITGenerator,
    MUNITGenerator,
    PatchCritic,
    ResNetGenerator,
    UNITGenerator,
)
from crossdomain.optimization import LinearDecay

FLOW = partial(ImageFlow, scales=1, steps=1, width=4)
CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")


def alignflow(**options):
    return AlignFlow(1, flow=FLOW, critic=CRITIC, **options)


class Injected(Digits):
    """Digits with one training picture that is not a number."""

    def split(self, name):
        dataset = super().split(name)
        images = dataset.fields[1]["b"].float() / 127.5 - 1
        if name == "train":
            images[123, 0, 5, 5] = torch.nan
        dataset.fields[1]["b"] = images
        return dataset


def test_nan_in_one_picture_is_reported_with_its_path(trainer, tmp_path):
    data = Injected(batch_size=60)
    data.setup("fit")
    broken = data.splits["train"].fields[1]["path_b"][123]
    loader = data.train_dataloader()
    first = next(i for i, batch in enumerate(loader, 1) if broken in batch["path_b"])
    assert first > 1
    checkpoint = RoundCheckpoint(every_n_rounds=1, directory=str(tmp_path))
    method = alignflow()
    method.prepare = lambda loader: None
    run = trainer(callbacks=[NonFiniteGuard(), checkpoint], enable_checkpointing=True, limit_val_batches=0)
    with pytest.raises(FloatingPointError) as caught:
        run.fit(method, data)
    message = str(caught.value)
    assert message.startswith(f"Round {first}: the term generator_")
    assert message.endswith(f"not finite themselves: {broken}.")
    assert len(message.splitlines()) == 2
    kept = serialization.read(tmp_path / "last.ckpt")
    assert kept["crossdomain"]["rounds"] == first - 1
    assert all(value.isfinite().all() for value in kept["state_dict"].values() if value.is_floating_point())


def test_diverged_weights_are_reported_with_the_batch(trainer):
    method = alignflow()

    def diverge(batch, batch_idx):
        method.critic_b.model[0].weight.data.fill_(torch.inf)

    method.on_train_batch_start = diverge
    with pytest.raises(FloatingPointError) as caught:
        trainer(callbacks=[NonFiniteGuard()]).fit(method, Digits())
    first, second = str(caught.value).splitlines()
    assert first.startswith("Round 1: the term generator_adversarial_b is ")
    assert second.startswith("The batch's pictures are finite. Its files: digits/")
    assert second.endswith(" and 112 more.")


def test_round_checkpoint_counts_rounds_and_replaces_in_one_step(trainer, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(RoundCheckpoint, "_save", lambda self, trainer: saved.append(trainer.lightning_module.rounds))
    run = trainer(max_epochs=2, limit_train_batches=5, enable_checkpointing=True, limit_val_batches=0,
                  callbacks=[RoundCheckpoint(every_n_rounds=2, directory=str(tmp_path))])  # fmt: skip
    run.fit(alignflow(), Digits())
    assert saved == [2, 4, 5, 6, 8, 10]  # two optimizers, but rounds are counted; 5 and 10 are ends of epochs
    with pytest.raises(ValueError, match="every_n_rounds is 0"):
        RoundCheckpoint(every_n_rounds=0)


def test_only_whole_checkpoints_lie_in_the_folder(trainer, tmp_path):
    run = trainer(limit_train_batches=2, enable_checkpointing=True, limit_val_batches=0,
                  callbacks=[RoundCheckpoint(directory=str(tmp_path))])  # fmt: skip
    run.fit(alignflow(), Digits())
    assert [path.name for path in tmp_path.glob("*.*")] == ["last.ckpt"]
    assert run.checkpoint_callback.path == tmp_path / "last.ckpt"


def copies(method):
    return [p.detach().clone() for p in method.player_parameters("generator")]


def test_moving_average_counts_rounds_and_is_evaluated_and_saved(trainer, tmp_path):
    method, seen, validated = alignflow(), [], []
    method.prepare = lambda loader: None
    start = copies(method)
    method.on_train_batch_end = lambda *args: seen.append(copies(method))
    method.validation_step = lambda batch, batch_idx: validated.append(
        [p.clone() for p in method.player_parameters("generator")]
    )
    run = trainer(limit_train_batches=4, limit_val_batches=1, enable_checkpointing=True,
                  callbacks=[GeneratorEMA(0.25), RoundCheckpoint(directory=str(tmp_path))])  # fmt: skip
    run.fit(method, Digits())
    expected = start
    for rounds, weights in enumerate(seen, 1):
        d = min(0.25, (1 + rounds) / (10 + rounds))
        expected = [d * e + (1 - d) * w for e, w in zip(expected, weights, strict=True)]
    assert len(seen) == 4
    for average, value, trained in zip(expected, validated[-1], seen[-1], strict=True):
        torch.testing.assert_close(value, average)
        assert trained.shape == value.shape
    assert any(not torch.equal(v, t) for v, t in zip(validated[-1], seen[-1], strict=True))
    for p, trained in zip(method.player_parameters("generator"), seen[-1], strict=True):
        assert torch.equal(p, trained)  # training goes on with the weights as they are
    again = serialization.rebuild(serialization.read(tmp_path / "last.ckpt"))
    for p, average in zip(again.player_parameters("generator"), expected, strict=True):
        torch.testing.assert_close(p, average)
    for p, q in zip(again.player_parameters("critic"), method.player_parameters("critic"), strict=True):
        assert torch.equal(p, q)
    with pytest.raises(ValueError, match="below 1"):
        GeneratorEMA(1.0)


def test_bf16_mixed_keeps_likelihoods_in_float32(trainer):
    method, dtypes = alignflow(), {}
    generate = method.generate

    def spied(batch):
        out = generate(batch)
        dtypes.update({key: value.dtype for key, value in out.items()})
        dtypes["critic"] = method.critic_a(out["fake_a"]).dtype
        return out

    method.generate = spied
    trainer(precision="bf16-mixed", limit_train_batches=1, limit_val_batches=0).fit(method, Digits())
    assert dtypes.pop("critic") == torch.bfloat16
    assert set(dtypes.values()) == {torch.float32}


def test_bf16_mixed_and_float32_train_nearly_alike(trainer):
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        method = alignflow()
        trainer(precision=precision, limit_train_batches=1, limit_val_batches=0).fit(method, Digits())
        losses[precision] = {name: float(term) for name, term in method.last_terms.items()}
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.02)


def test_channels_last_changes_the_layout_and_not_the_numbers(trainer):
    terms = []
    generator = partial(ResNetGenerator, width=8, blocks=1)
    for channels_last in (False, True):
        torch.manual_seed(0)
        method = CycleGAN(1, generator=generator, critic=CRITIC, channels_last=channels_last)
        trainer(limit_train_batches=2, limit_val_batches=0).fit(method, Digits())
        terms.append({name: float(term) for name, term in method.last_terms.items()})
        weight = method.a2b.model[4].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
        colour = method.on_after_batch_transfer({"a": torch.zeros(2, 3, 4, 4), "label_a": torch.zeros(2)}, 0)["a"]
        assert colour.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert terms[0] == pytest.approx(terms[1], rel=1e-4)


def test_fused_adam_is_the_default():
    optimizers, _ = alignflow().configure_optimizers()
    assert [optimizer.param_groups[0]["fused"] for optimizer in optimizers] == [True, True]


def test_networks_are_compiled_once_each_and_only_for_training(trainer, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: compiled.append(function.__self__) or function)
    method = CycleGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC, compile_networks=True)
    trainer(limit_val_batches=1).validate(method, datamodule=Digits(), verbose=False)
    assert compiled == []
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, datamodule=Digits())
    assert compiled == [method.a2b, method.b2a, method.critic_a, method.critic_b]


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_companion_is_laid_out_as_it_was_trained(channels_last, tmp_path):
    classifier = DomainClassifier(3, network=partial(ConvClassifier, width=4), channels_last=channels_last)
    serialization.write(classifier, tmp_path / "classifier.ckpt")
    held = Companion(tmp_path / "classifier.ckpt", "judge_b", Classifies).on()
    weights = [p for p in held.network.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert weights
    assert all(p.is_contiguous(memory_format=torch.channels_last) == channels_last for p in weights)


def test_options_of_players_that_there_are_not_are_said_to_change_nothing(trainer, recwarn):
    trainer(limit_train_batches=1, limit_val_batches=0).fit(
        DomainClassifier(1, generator_interval=3, critic_optimizer=torch.optim.SGD), datamodule=Digits()
    )
    said = [str(w.message) for w in recwarn.list if "has no player" in str(w.message)]
    assert sorted(said) == [
        "critic_optimizer: DomainClassifier has no player critic, so nothing changes.",
        "generator_interval: DomainClassifier has no player generator, so nothing changes.",
    ]


def test_a_schedule_of_a_player_that_sits_out_the_first_rounds_is_no_reason_to_warn(trainer, recwarn):
    method = CycleGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=CRITIC, generator_interval=2,
                      schedule=partial(LinearDecay, constant=2, decay=8), schedule_interval="step")  # fmt: skip
    trainer(limit_train_batches=3, limit_val_batches=0).fit(method, datamodule=Digits())
    assert not [w for w in recwarn.list if "lr_scheduler.step" in str(w.message)]
    rates = [optimizer.param_groups[0]["lr"] for optimizer in method.trainer.optimizers]
    assert rates == pytest.approx([2e-4 * 7 / 9] * 2)


@pytest.mark.parametrize("make", [
    partial(DIDD, generator=partial(DIDDGenerator, width=8, separate=2, halvings=3)),
    partial(DRIT, generator=partial(DRITGenerator, width=4, blocks=1, halvings=1, attribute_blocks=1), critic=CRITIC,
            content_critic=partial(ContentCritic, width=4, layers=1, kernel=3), content_critic_rounds=1),
    partial(MUNIT, generator=partial(MUNITGenerator, width=4, blocks=1, hidden=8), critic=CRITIC, cycle_weight=1.0),
    partial(UNIT, generator=partial(UNITGenerator, width=4, blocks=1), critic=CRITIC, shared_blocks=1),
])  # fmt: skip
def test_of_autoencoders_all_parts_are_compiled_and_called(make, trainer, monkeypatch):
    calls = {}

    def counted(function, **_):
        part = function.__self__
        calls[part] = 0

        def call(*args):
            calls[part] += 1
            return function(*args)

        return call

    monkeypatch.setattr(torch, "compile", counted)
    method = make(1, compile_networks=True)
    trainer(limit_train_batches=1, limit_val_batches=0).fit(method, datamodule=Digits(batch_size=4))
    assert {p for part in calls for p in part.parameters()} == set(method.parameters())
    assert min(calls.values()) > 0
