"""The hub: pretrained checkpoints load by name, are verified, and do what the index says."""

import shutil

import pytest
import torch
import yaml

import crossdomain
from crossdomain import hub
from crossdomain.datamodules import Digits
from crossdomain.serialization import sha256

FIELDS = {
    "file", "sha256", "method", "recipe", "version", "seed", "budget", "hardware", "data", "split", "metrics",
    "licence", "data_licence", "notes",
}  # fmt: skip


@pytest.mark.parametrize("name", hub.list_models())
def test_index_entry_is_complete(name):
    entry = hub.model_info(name)
    assert set(entry) == FIELDS
    assert entry["sha256"] == sha256(hub.find_checkpoint(name))
    assert entry["recipe"] in hub.list_recipes()
    assert hub.find_checkpoint(name).stat().st_size < 15e6


@pytest.mark.parametrize("name", hub.list_models())
def test_index_has_the_metrics_of_the_checkpoint(name, trainer):
    entry = hub.model_info(name)
    method = crossdomain.load(name)
    assert type(method).__name__ == entry["method"]
    assert not method.training
    (metrics,) = trainer().test(method, Digits(), verbose=False)
    assert set(entry["metrics"]) == {key.removeprefix("test/") for key in metrics}
    for key, value in entry["metrics"].items():
        # A cycle error of 1e-5 is rounding, which differs between processors.
        assert metrics[f"test/{key}"] == pytest.approx(value, rel=1e-3, abs=2e-4)


@pytest.mark.parametrize("name", ["alignflow-digits", "cyclegan-digits"])
def test_pretrained_translations_are_near_the_truth(name, trainer):
    assert name in crossdomain.list_models()
    (metrics,) = trainer().validate(crossdomain.load(name), Digits(), verbose=False)
    assert metrics["val/mse_a2b"] < 0.012  # as it is: 0.35; the mean picture: 0.05


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_trained_alignflow_is_its_own_inverse_on_the_whole_val_split(training, dtype, bound):
    data = Digits()
    data.setup("validate")
    method = crossdomain.load("alignflow-digits").to(dtype).train(training)
    for fields, domain in zip(data.splits["val"].fields, "ab", strict=True):
        images = (fields[domain].to(dtype) / 127.5) - 1
        there, back = ("a2b", "b2a") if domain == "a" else ("b2a", "a2b")
        assert (method.translate(method.translate(images, there), back) - images).abs().max() < bound


def test_a_path_loads_like_a_name(tmp_path):
    shutil.copy(hub.find_checkpoint("alignflow-digits"), tmp_path / "mine.ckpt")
    images = torch.zeros(1, 1, 16, 16)
    mine, theirs = crossdomain.load(tmp_path / "mine.ckpt"), crossdomain.load("alignflow-digits")
    assert torch.equal(mine.translate(images, "a2b"), theirs.translate(images, "a2b"))


def test_one_flipped_byte_is_refused_by_name_and_hash(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    source = hub.find_checkpoint("alignflow-digits")
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    (folder / source.name).write_bytes(content)
    monkeypatch.setattr(hub, "_folder", lambda package: folder)
    with pytest.raises(ValueError, match=r"'alignflow-digits', .* is corrupted") as caught:
        crossdomain.load("alignflow-digits")
    assert hub.model_info("alignflow-digits")["sha256"] in str(caught.value)
    (folder / source.name).unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        crossdomain.load("alignflow-digits")


def test_unknown_names_get_the_nearest():
    with pytest.raises(FileNotFoundError, match="Nearest in the zoo: alignflow-digits"):
        crossdomain.load("alignflow-digit")
    with pytest.raises(ValueError, match=r"Nearest: cyclegan-digits"):
        hub.model_info("cyclgan-digits")
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = crossdomain.lod


def test_index_is_plain_yaml():
    assert yaml.safe_load((hub._folder("checkpoints") / "index.yaml").read_text()).keys() == set(hub.list_models())
