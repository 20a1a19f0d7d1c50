"""What a checkpoint holds, how it is rebuilt, and what is refused."""

import os
import pickle
import random
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from helpers.conformance import ThreePlayers
from torch import nn

from crossdomain import serialization
from crossdomain.datamodules import Digits
from crossdomain.flows import ImageFlow, Logit
from crossdomain.losses import NonSaturating
from crossdomain.method import Method
from crossdomain.methods import AlignFlow, CycleGAN
from crossdomain.networks import PatchCritic, ResNetGenerator
from crossdomain.optimization import LinearDecay


def module_level_generator(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


SMALL_FLOW = partial(ImageFlow, scales=1, steps=1, width=4)
SMALL_CRITIC = partial(PatchCritic, width=4, layers=1, norm="none")


def small_alignflow(**options):
    return AlignFlow(1, flow=SMALL_FLOW, critic=SMALL_CRITIC, **options)


@pytest.fixture
def saved(tmp_path, trainer):
    """Trains a method for a moment and saves it; returns the path."""

    def save(method, name="method.ckpt"):
        run = trainer(limit_train_batches=2, limit_val_batches=1)
        run.fit(method, Digits(batch_size=8))
        run.save_checkpoint(tmp_path / name)
        return tmp_path / name

    return save


def test_method_made_in_python_is_rebuilt_with_nothing_else_at_hand(saved):
    method = small_alignflow(
        objective=partial(NonSaturating, critic_scale=0.5), schedule=partial(LinearDecay, constant=1, decay=1)
    )
    again = serialization.rebuild(serialization.read(saved(method)))
    assert isinstance(again, AlignFlow)
    assert not again.training
    assert isinstance(again.objective, NonSaturating)
    assert again.objective.critic_scale == 0.5
    images = 2 * torch.rand(2, 1, 16, 16) - 1
    assert torch.equal(again.translate(images, "a2b"), method.eval().translate(images, "a2b"))
    assert again.spec.domains == ("digits", "photocopies")


def test_lightnings_own_loading_works_too(saved):
    path = saved(small_alignflow())
    again = AlignFlow.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(
        again.state_dict()["critic_a.model.0.weight"],
        torch.load(path)["state_dict"]["critic_a.model.0.weight"],
    )


def test_rebuilt_method_can_be_saved_and_rebuilt_again(saved):
    first = serialization.read(saved(small_alignflow()))
    again = serialization.read(saved(serialization.rebuild(first).train(), "again.ckpt"))
    assert again["hyper_parameters"] == first["hyper_parameters"]
    assert again["crossdomain"]["rounds"] == first["crossdomain"]["rounds"] + 2


def test_header_says_what_translate_needs(saved):
    entry = serialization.read(saved(small_alignflow()))["crossdomain"]
    processes = entry.pop("processes")
    version = entry.pop("version")
    assert entry == {
        "format": 1,
        "method": "AlignFlow",
        "domains": ["digits", "photocopies"],
        "channels": [1, 1],
        "image_size": 16,
        "resize_filter": "bicubic",
        "levels": 256,
        "palette": None,
        "attributes": None,
        "roles": None,
        "rounds": 2,
        "images_seen": 16,
    }
    assert version
    assert len(processes) == 1
    assert len(processes[0]["pools"]["pool_a"]["images"]) == 16


def test_hyperparameters_are_plain_values():
    plain = dict(small_alignflow(optimizer=partial(torch.optim.Adam, lr=2e-3, betas=(0.9, 0.999))).hparams)
    assert plain["flow"] == {
        "class_path": "crossdomain.flows.ImageFlow",
        "init_args": {
            "scales": 1,
            "steps": 1,
            "width": 4,
            "log_scale_bound": 1.0,
            "alpha": 0.05,
            "recompute": False,
            "bins": 32,
        },
    }
    # The zoo's defaults are written out: they may change, a checkpoint may not.
    assert plain["objective"] == {
        "class_path": "crossdomain.losses.LeastSquares",
        "init_args": {"critic_scale": 0.5, "penalty": None},
    }
    assert plain["pool_size"] == 50
    assert plain["gradient_clip"] is None
    # Defaults of torch differ between its versions, so they are not written.
    assert plain["optimizer"] == {"class_path": "torch.optim.Adam", "init_args": {"lr": 2e-3}}
    assert plain["_class_path"] == "crossdomain.methods.AlignFlow"


def test_arguments_that_came_after_a_checkpoint_mean_what_there_was_before(saved):
    """One from before ImageFlow had a spline is rebuilt without."""
    checkpoint = serialization.read(saved(AlignFlow(1, flow=partial(SMALL_FLOW, bins=0), critic=SMALL_CRITIC)))
    del checkpoint["hyper_parameters"]["flow"]["init_args"]["bins"]
    again = serialization.rebuild(checkpoint)
    assert isinstance(again.flow_a.flows[0], Logit)
    assert again.hparams["flow"]["init_args"]["bins"] == 0


def test_function_of_a_module_is_stored_by_its_path(saved):
    method = CycleGAN(1, generator=module_level_generator, critic=SMALL_CRITIC)
    assert method.hparams["generator"].endswith("test_serialization.module_level_generator")
    again = serialization.rebuild(serialization.read(saved(method)))
    assert isinstance(again.a2b, nn.Conv2d)


@pytest.mark.parametrize(
    "generator",
    [lambda i, o: nn.Conv2d(i, o, 1), partial(ResNetGenerator, 1), partial(ResNetGenerator, blocks=torch.tensor(1))],
)
def test_what_cannot_be_stored_is_refused_when_the_method_is_made(generator):
    with pytest.raises(ValueError, match=r"^generator.* is .*which a checkpoint cannot store"):
        CycleGAN(1, generator=generator)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch /tmp/crossdomain-was-here",)


def test_pickle_that_would_run_code_is_refused(tmp_path):
    for protocol in (2, 4):
        path = tmp_path / "evil.ckpt"
        torch.save({"state_dict": {}, "crossdomain": Malicious()}, path, pickle_protocol=protocol)
        with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
            serialization.read(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        serialization.read(path)
    assert not os.path.exists("/tmp/crossdomain-was-here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_path": "os.path.join"}, "not part of this crossdomain|is no LightningModule"),
        ({"_class_path": "evil.Module"}, "not part of this crossdomain and was not imported"),
        ({"flow": {"class_path": "subprocess.getoutput"}}, "as a class, but it is none|was not imported"),
        ({"flow": "os.system"}, "no function with an annotated result"),
    ],
)
def test_class_paths_that_name_other_things_are_refused(saved, changes, message):
    checkpoint = serialization.read(saved(small_alignflow()))
    with pytest.raises(ValueError, match=message):
        serialization.rebuild({**checkpoint, "hyper_parameters": {**checkpoint["hyper_parameters"], **changes}})


def test_damaged_foreign_and_missing_files(saved, tmp_path):
    path = saved(small_alignflow())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        serialization.read(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of crossdomain"):
        serialization.read(path)
    torch.save({"crossdomain": {"format": 99}}, path)
    with pytest.raises(ValueError, match="has format 99"):
        serialization.read(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        serialization.read(tmp_path / "nothing.ckpt")


def test_flipped_bytes_are_found_by_the_checksums(saved):
    path = saved(small_alignflow())
    whole, generator = path.read_bytes(), random.Random(0)
    stored = serialization.read(path)
    for _ in range(40):  # each hits something else: weights, the pickle, names, padding between them
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with suppress(ValueError):  # where nothing is refused, what was hit holds nothing
            again = serialization.read(path)
            assert again["hyper_parameters"] == stored["hyper_parameters"]
            assert all(torch.equal(value, stored["state_dict"][name]) for name, value in again["state_dict"].items())
    damaged = bytearray(whole)
    start = len(whole) // 2
    damaged[start : start + 200] = bytes(255 - byte for byte in damaged[start : start + 200])
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint: it is damaged"):
        serialization.read(path)


def test_weights_that_do_not_fit_are_refused_in_one_line(saved):
    checkpoint = serialization.read(saved(small_alignflow()))
    del checkpoint["state_dict"]["flow_a.flows.2.shift"]
    with pytest.raises(ValueError, match="weights do not fit AlignFlow: Missing key") as caught:
        serialization.rebuild(checkpoint)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("inside", [[], ["critic", "init_args"], ["flow", "init_args"]])
def test_arguments_that_do_not_fit_are_refused_in_two_lines(inside, saved):
    checkpoint = serialization.read(saved(small_alignflow()))
    given = checkpoint["hyper_parameters"]
    for key in inside:
        given = given[key]
    given["colour"] = "red"
    name = {"critic": "PatchCritic", "flow": "ImageFlow"}.get(inside[0] if inside else "", "AlignFlow")
    for read in (serialization.arguments, serialization.rebuild):
        with pytest.raises(ValueError, match=f"gives {name} an argument that it does not have: colour") as caught:
            read(checkpoint)
        assert len(str(caught.value).splitlines()) == 2


def test_checkpoint_of_another_method_or_of_other_channels_is_refused(saved):
    checkpoint = serialization.read(saved(small_alignflow()))
    with pytest.raises(ValueError, match="holds a AlignFlow, but this is a CycleGAN"):
        CycleGAN(1, generator=module_level_generator).on_load_checkpoint(checkpoint)
    with pytest.raises(ValueError, match=r"trained on \[1, 1\] channels"):
        AlignFlow(3, flow=SMALL_FLOW, critic=SMALL_CRITIC).on_load_checkpoint(checkpoint)


def test_export_keeps_what_loading_needs(saved, tmp_path):
    checkpoint = serialization.read(saved(small_alignflow()))
    serialization.export(checkpoint, tmp_path / "small.ckpt")
    small = serialization.read(tmp_path / "small.ckpt")
    assert set(small) == {"state_dict", "hyper_parameters", "pytorch-lightning_version", "crossdomain"}
    assert "processes" not in small["crossdomain"]
    images = 2 * torch.rand(2, 1, 16, 16) - 1
    pair = [serialization.rebuild(c).translate(images, "b2a") for c in (checkpoint, small)]
    assert torch.equal(*pair)
    assert not list(tmp_path.glob("*.part"))


def test_files_are_written_where_there_is_no_folder_yet_and_not_over_one(tmp_path):
    path = tmp_path / "new" / "deep" / "plain.pt"
    serialization.write_plain({"a": torch.ones(2)}, path)
    assert torch.equal(serialization.read_plain(path)["a"], torch.ones(2))
    assert [file.name for file in path.parent.iterdir()] == ["plain.pt"]
    with pytest.raises(IsADirectoryError, match="is a folder, expected a file"):
        serialization.write_plain({}, path.parent)


def test_random_states_are_plain_and_come_back(tmp_path):
    torch.save(serialization.random_state(), tmp_path / "state.pt")
    expected = (random.random(), np.random.rand(), torch.rand(1).item())
    serialization.set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_module_of_a_user_is_rebuilt_when_its_module_was_imported(trainer, tensors, tmp_path):
    run = trainer()
    run.fit(ThreePlayers(2), tensors({"a": torch.randn(8, 2)}, {"b": torch.randn(8, 2)}))
    run.save_checkpoint(tmp_path / "user.ckpt")
    assert isinstance(serialization.rebuild(serialization.read(tmp_path / "user.ckpt")), Method)
