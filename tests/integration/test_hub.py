"""The hub: pretrained checkpoints load by name, are verified, and do what the index says."""

import hashlib
import os
import pickle
import shlex
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module

import crossdomain
from crossdomain import hub, serialization
from crossdomain.commands.adapt import measure
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.datamodules.downloads import sha256_of
from crossdomain.flows import ImageFlow
from crossdomain.methods import AlignFlow, CycleGAN, DistanceGAN
from crossdomain.networks import ConvClassifier, PatchCritic, ResNetGenerator

REAL_DIGITS = all((Path(os.environ.get("CROSSDOMAIN_DATA", "data")) / name).is_dir() for name in ("MNIST", "USPS"))
FIELDS = {
    "sha256", "method", "recipe", "version", "seed", "budget", "hardware", "data", "split", "metrics",
    "licence", "data_licence", "notes",
}  # fmt: skip


@pytest.mark.parametrize("name", hub.list_models())
def test_index_entry_is_complete(name):
    entry = hub.model_info(name)
    assert {"file", "url"} & set(entry)
    assert set(entry) - {"file", "url", "fit", "test"} == FIELDS
    assert entry["sha256"] == sha256_of(hub.find_checkpoint(name))
    assert entry["recipe"] in hub.list_recipes()
    assert hub.find_checkpoint(name).stat().st_size < 15e6


@pytest.mark.parametrize("name", hub.list_models())
def test_index_has_the_metrics_of_the_checkpoint(name):
    """As `lightning test --config RECIPE --ckpt_path NAME` prints them."""
    entry = hub.model_info(name)
    method = crossdomain.load(name)
    assert type(method).__name__ == entry["method"]
    assert not method.training
    if entry["data"] == "DigitPair" and not REAL_DIGITS:
        pytest.skip("CROSSDOMAIN_DATA has no digits")
    recipe = str(hub.find_recipe(entry["recipe"]))
    metrics, data = measure(recipe, name, "--trainer.enable_progress_bar", "false", *shlex.split(entry.get("test", "")))
    assert type(data).__name__ == entry["data"]
    assert set(entry["metrics"]) <= set(metrics)  # those of later probes are not in the index yet
    for key, value in entry["metrics"].items():
        # A cycle error of 1e-5 is rounding, which differs between processors, as does the class of an image in 2,000.
        near = 1e-3 if key.startswith("accuracy") else 2e-4
        assert metrics[key] == pytest.approx(value, rel=1e-3, abs=near), key


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
    with pytest.raises(ValueError, match=r"'alignflow-digits' is refused.\n.* is corrupted") as caught:
        crossdomain.load("alignflow-digits")
    assert hub.model_info("alignflow-digits")["sha256"] in str(caught.value)
    (folder / source.name).unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        crossdomain.load("alignflow-digits")


def test_what_is_no_method_is_refused(tmp_path, monkeypatch):
    (tmp_path / "other.ckpt").touch()
    monkeypatch.setattr(serialization, "load", lambda path: LightningModule())
    with pytest.raises(ValueError, match=r"other.ckpt' holds a LightningModule, which is no Method"):
        crossdomain.load(tmp_path / "other.ckpt")


def test_unknown_names_get_the_nearest():
    with pytest.raises(FileNotFoundError, match="Nearest in the zoo: alignflow-digits"):
        crossdomain.load("alignflow-digit")
    with pytest.raises(ValueError, match=r"Nearest: cyclegan-digits"):
        hub.model_info("cyclgan-digits")
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = crossdomain.lod


def test_index_is_plain_yaml():
    assert yaml.safe_load((hub._folder("checkpoints") / "index.yaml").read_text()).keys() == set(hub.list_models())


# --- the web ---------------------------------------------------------------------------------------------------

OURS = hub.find_checkpoint("alignflow-digits")
HASH = hub.model_info("alignflow-digits")["sha256"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSDOMAIN_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def served(web, cache):
    """The URL of a pretrained checkpoint, and the server."""
    web.files["/weights.ckpt"] = OURS.read_bytes()
    return f"{web.address}/weights.ckpt#sha256={HASH}", web


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_url_is_downloaded_once_and_verified_at_each_load(served, cache):
    url, web = served
    method = crossdomain.load(url)
    expected = crossdomain.load("alignflow-digits").state_dict()
    assert all(torch.equal(weight, expected[key]) for key, weight in method.state_dict().items())
    assert names(cache) == [f"{HASH}.ckpt"]
    web.files.clear()
    crossdomain.load(url)
    crossdomain.load(f"https://elsewhere.invalid/other_name.ckpt#sha256={HASH.upper()}")  # the hash is what counts
    assert len(web.log) == 1
    content = bytearray(OURS.read_bytes())
    content[1000] ^= 1
    (cache / f"{HASH}.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match="is refused") as caught:
        crossdomain.load(url)
    message = str(caught.value).splitlines()
    assert web.address in message[0]
    for part in (str(cache / f"{HASH}.ckpt"), hashlib.sha256(content).hexdigest(), HASH):
        assert part in message[1]
    assert message[2:] == ["Delete the file and call again to fetch it anew."]


def test_a_download_that_breaks_half_way_is_resumed_and_verified(served, cache):
    url, web = served
    half = len(OURS.read_bytes()) // 2
    web.cut = half
    with pytest.raises(ConnectionError, match="call again to resume") as caught:
        crossdomain.load(url)
    assert len(str(caught.value).splitlines()) <= 3
    assert names(cache) == [f"{HASH}.ckpt.part"]
    web.cut = None
    assert type(crossdomain.load(url)).__name__ == "AlignFlow"
    assert [entry[1:] for entry in web.log] == [(200, 0), (206, half)]
    assert names(cache) == [f"{HASH}.ckpt"]


def test_another_file_than_the_hash_says_is_refused_and_not_kept(served, cache):
    url, web = served
    content = web.files["/weights.ckpt"] = OURS.read_bytes()[:-1] + b"?"
    with pytest.raises(ValueError, match=f"SHA-256 is {hashlib.sha256(content).hexdigest()}, expected {HASH}"):
        crossdomain.load(url)
    assert names(cache) == []


def test_code_in_a_file_of_the_right_hash_is_not_run(web, cache, tmp_path):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was_here",)

    torch.save({"crossdomain": {"format": 1}, "state_dict": Malicious()}, tmp_path / "evil.ckpt")
    zipped, bare = (tmp_path / "evil.ckpt").read_bytes(), pickle.dumps(Malicious(), protocol=2)
    for content in (zipped, bare):
        web.files["/evil.ckpt"] = content
        with pytest.raises(ValueError, match="holds more than plain values and weights"):
            crossdomain.load(f"{web.address}/evil.ckpt#sha256={hashlib.sha256(content).hexdigest()}")
    assert not (tmp_path / "was_here").exists()
    pickle.loads(bare)
    assert (tmp_path / "was_here").exists()  # so it would have


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/x.ckpt", r"lacks the SHA-256 .*\n.* it: https://host/x.ckpt#sha256=HEX\."),
        ("https://host/x.ckpt#sha256=12ab", r"lacks the SHA-256 .* 64 hexadecimal digits"),
        (f"https://host/x.ckpt#md5={HASH}", r"lacks the SHA-256"),
        (f"ftp://host/x.ckpt#sha256={HASH}", r"no address that can be downloaded\.\nExpected https://"),
        (f"file:///etc/passwd#sha256={HASH}", r"no address that can be downloaded"),
    ],
)
def test_urls_without_a_hash_or_of_another_kind_are_refused(url, expected, cache):
    with pytest.raises(ValueError, match=expected):
        crossdomain.load(url)
    assert not cache.exists()


def test_offline_nothing_is_downloaded(served, cache, monkeypatch):
    url, web = served
    monkeypatch.setenv("CROSSDOMAIN_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="CROSSDOMAIN_OFFLINE is set") as caught:
        crossdomain.load(url)
    path = cache / f"{HASH}.ckpt"
    assert str(caught.value).splitlines()[1] == (
        f"Put the file from {web.address}/weights.ckpt there by other means: {str(path)!r}."
    )
    assert not web.log
    cache.mkdir()
    shutil.copy(OURS, path)
    assert type(crossdomain.load(url)).__name__ == "AlignFlow"
    assert not web.log
    monkeypatch.setenv("CROSSDOMAIN_OFFLINE", "0")
    path.unlink()
    assert hub.find_checkpoint(url) == path
    assert len(web.log) == 1


def test_index_entries_with_a_url_are_fetched_where_the_file_was_not_shipped(served, cache, tmp_path, monkeypatch):
    _, web = served
    entry = {"sha256": HASH, "url": f"{web.address}/weights.ckpt", "file": "alignflow-big.ckpt"}
    monkeypatch.setattr(hub, "_index", lambda: {"alignflow-big": entry})
    monkeypatch.setattr(hub, "_folder", lambda package: tmp_path)
    assert crossdomain.list_models() == ["alignflow-big"]
    monkeypatch.setenv("CROSSDOMAIN_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="The checkpoint 'alignflow-big' is not in the cache"):
        crossdomain.load("alignflow-big")
    monkeypatch.delenv("CROSSDOMAIN_OFFLINE")
    assert hub.find_checkpoint("alignflow-big") == cache / f"{HASH}.ckpt"
    shutil.copy(OURS, tmp_path / "alignflow-big.ckpt")
    assert hub.find_checkpoint("alignflow-big") == tmp_path / "alignflow-big.ckpt"
    (tmp_path / "alignflow-big.ckpt").unlink()
    del entry["file"]
    assert hub.find_checkpoint("alignflow-big") == cache / f"{HASH}.ckpt"
    assert len(web.log) == 1


def test_processes_that_ask_at_once_download_once(served):
    url, web = served
    together = threading.Barrier(4)

    def find(_):
        together.wait()
        return hub.find_checkpoint(url)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(find, range(4)))) == 1
    assert len(web.log) == 1


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    for variable in ("CROSSDOMAIN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.cache_folder() == tmp_path / ".cache" / "crossdomain"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub.cache_folder() == tmp_path / "xdg" / "crossdomain"
    monkeypatch.setenv("CROSSDOMAIN_CACHE", os.path.join("~", "mine"))
    assert hub.cache_folder() == tmp_path / "mine"


# --- starting from other weights -------------------------------------------------------------------------------


def alike(name):
    """A new method with all the options of a checkpoint."""
    checkpoint = serialization.read(hub.find_checkpoint(name))
    options = {key: value for key, value in checkpoint["hyper_parameters"].items() if key != "_instantiator"}
    return instantiate_module(type(serialization.rebuild(checkpoint)), options)


def flow(width):
    return AlignFlow(
        1,
        flow=partial(ImageFlow, scales=1, steps=2, width=width),
        critic=partial(PatchCritic, width=4, layers=1, norm="none"),
    )


def saved(method, path):
    serialization.write(method, path)
    return path


def weights(method):
    return {name: weight.clone() for name, weight in method.state_dict().items()}


def equal(method, expected):
    return {name: torch.equal(weight, expected[name]) for name, weight in method.state_dict().items()}


def test_all_weights_are_taken_and_nothing_else(trainer):
    method = alike("alignflow-digits")
    before = dict(method.hparams)
    report = crossdomain.init_from(method, "alignflow-digits")
    expected = crossdomain.load("alignflow-digits").state_dict()
    assert not all(equal(alike("alignflow-digits"), expected).values())
    assert all(equal(method, expected).values())
    assert (len(report.loaded), report.missing, report.unexpected, report.reshaped) == (len(expected), (), (), {})
    assert str(report) == f"{len(expected)} of {len(expected)} weights loaded"
    assert (method.rounds, method.images_seen, method.prepared) == (0, 0, False)
    assert dict(method.hparams) == before
    method.prepare = lambda loader: pytest.fail("there is nothing left to prepare")
    trainer(limit_train_batches=0, limit_val_batches=0).fit(method, Digits())  # no round, but all that comes before
    assert all(equal(method, expected).values())


def test_prepare_fills_in_only_what_was_not_loaded(trainer, tmp_path):
    """Flows come from a method without critics; their ActNorms are not set anew, those of another width's are kept."""
    options = {"flow": partial(ImageFlow, scales=1, steps=2, width=4)}
    trained = AlignFlow(1, adversarial_weight=0.0, **options)
    for p in trained.parameters():
        p.data += torch.randn_like(p)
    path = saved(trained, tmp_path / "flows.ckpt")
    method = flow(width=4)
    report = crossdomain.init_from(method, path)
    assert set(report.loaded) == set(trained.state_dict())
    assert all(name.startswith("critic_") for name in report.missing)
    expected = weights(method)
    trainer(limit_train_batches=0, limit_val_batches=0).fit(method, Digits())
    assert all(equal(method, expected).values())

    other = DistanceGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=partial(PatchCritic, width=4))
    cycle = CycleGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1), critic=partial(PatchCritic, width=4))
    report = crossdomain.init_from(other, saved(cycle, tmp_path / "cycle.ckpt"))
    assert report.missing == ("mean_a", "deviation_a", "mean_b", "deviation_b")
    assert all(name.startswith(("b2a.", "critic_a.")) for name in report.unexpected)
    expected = weights(other)
    trainer(limit_train_batches=0, limit_val_batches=0).fit(other, Digits())
    changed = {name for name, same in equal(other, expected).items() if not same}
    assert changed == {"mean_a", "deviation_a", "mean_b", "deviation_b"}  # the data's, which no checkpoint had


def test_weights_of_another_shape_stay_as_they_were(tmp_path):
    path, method = saved(flow(width=4), tmp_path / "narrow.ckpt"), flow(width=8)
    before, theirs = weights(method), serialization.read(path)["state_dict"]
    report = crossdomain.init_from(method, path)
    assert set(report.loaded) | set(report.reshaped) == set(before) == set(theirs)
    assert set(report.reshaped) == {name for name in before if before[name].shape != theirs[name].shape}
    after = method.state_dict()
    for name in before:
        assert torch.equal(after[name], before[name] if name in report.reshaped else theirs[name]), name
    first = next(iter(report.reshaped))
    lines = str(report).splitlines()
    assert lines[0] == f"{len(report.loaded)} of {len(before)} weights loaded"
    assert lines[1].startswith(f"  {len(report.reshaped)} of another shape, so as they were: {first} (8, ")
    assert lines[1].endswith(", ...")
    assert len(lines) == 2


def test_other_channels_keep_what_does_not_depend_on_them(tmp_path):
    options = {"generator": partial(ResNetGenerator, width=4, blocks=1), "critic": partial(PatchCritic, width=4)}
    grey, colour = CycleGAN(1, **options), CycleGAN(3, **options)
    report = crossdomain.init_from(colour, saved(grey, tmp_path / "grey.ckpt"))
    mine, theirs = colour.state_dict(), grey.state_dict()
    assert {tuple(s[0])[:2] for s in report.reshaped.values() if len(s[0]) == 4} == {(4, 3), (3, 4)}
    assert len(report.loaded) > 0.7 * len(mine)
    assert all(torch.equal(mine[name], theirs[name]) for name in report.loaded)


def test_nothing_that_fits_is_an_error(tmp_path):
    classifier = saved(DomainClassifier(1, network=partial(ConvClassifier, width=4)), tmp_path / "classifier.ckpt")
    method = flow(width=4)
    with pytest.raises(ValueError, match=r"holds a DomainClassifier for \[1, 1\] channels,\nthis is a AlignFlow for"):
        crossdomain.init_from(method, classifier)
    assert method.pretrained == frozenset()
    with pytest.raises(FileNotFoundError, match="Nearest in the zoo: alignflow-digits"):
        crossdomain.init_from(method, "alignflow-digit")
