"""Probes: whose tags are whose, methods of one and of three domains, likelihoods of every kind, processes."""

import math
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader

from crossdomain import serialization
from crossdomain.datamodules import Digits
from crossdomain.domains import BOTH, DataSpec, directions_between
from crossdomain.evaluation import Evaluation, MeasuredBatch, Probe, Tag, probes
from crossdomain.evaluation.probes.likelihood import Likelihood
from crossdomain.flows import dequantize
from crossdomain.method import Method

RECORDED = sorted((Path(__file__).parents[1] / "reference").glob("v*/*.pt"))
TAGS = [tag for probe in probes.all_probes() for tag in probe.tags]


# --- the table -------------------------------------------------------------------------------------------------


def test_every_recorded_tag_is_in_one_row_of_the_table():
    names = set()
    for path in RECORDED:
        names |= {name.removeprefix("test/") for name in torch.load(path, weights_only=True).get("metrics", {})}
    assert len(names) > 60
    for name in names:
        assert sum(tag.matches(name) for tag in TAGS) == 1, name


def test_tags_stand_for_directions_domains_and_names():
    tag = Tag("acc_{direction} acc_{name}_{direction} certificate", "always", "a number")
    assert all(map(tag.matches, ("acc_a2b", "acc_h2c", "acc_wall_colour_a2b", "certificate")))
    assert not any(map(tag.matches, ("acc_a", "acc__a2b ", "xacc_a2b", "acc_a2bc", "acc")))
    assert all(tag.names and tag.when and tag.what for tag in TAGS)


def test_each_probe_of_a_file_is_found_and_takes_the_options_that_it_names():
    options = {"judges": {}, "judge_distances": False, "segmenter": None, "predictor": None, "samples": 3}
    options |= {"coverage_samples": 5, "mode_radius": 0.5, "cycle_noise": 0.25, "jacobian": 2, "fid": False}
    options |= {"lpips": False}
    made = {type(probe).__name__: probe for probe in probes.make_probes(options)}
    assert len(made) == len(probes.all_probes())
    assert made["OutputDiversity"].samples == 3
    assert (made["CoveredModes"].coverage_samples, made["CoveredModes"].mode_radius) == (5, 0.5)
    assert made["Cycles"].cycle_noise == 0.25
    (file,) = probes.__path__
    described = [path.stem for path in Path(file).glob("*.py") if ", Tag" in path.read_text()]
    assert {cls.__module__.rpartition(".")[2] for cls in probes.all_probes()} == set(described)


def test_a_probe_of_the_zoo_is_one_file_more(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "integration"))
    (tmp_path / "brightness.py").write_text(
        "from test_own_probe import Brightness as _Base\n\n\n"
        "class Brightness(_Base):\n    def __init__(self, samples):\n        super().__init__(float(samples))\n"
    )
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path)])
    before = {type(probe).__name__ for probe in Evaluation().probes} - {"Brightness"}
    (added,) = (probe for probe in Evaluation(samples=7).probes if type(probe).__name__ not in before)
    assert added.scale == 7.0
    monkeypatch.delitem(sys.modules, "crossdomain.evaluation.probes.brightness")


# --- domains ---------------------------------------------------------------------------------------------------

LETTERS, SHIFTS = "abc", {"a": 0.0, "b": 0.25, "c": 0.5}


class Shift(Method):
    """Three domains, each of which is another one made brighter, and a little off on the way back."""

    directions = directions_between(LETTERS)

    def __init__(self):
        super().__init__(1, 1, 1)
        self.players = {}

    def generate(self, batch):
        return {}

    def _translate(self, images, direction, guide, noise):
        moved = images + SHIFTS[direction.target] - SHIFTS[direction.source]
        return moved - 0.1 if direction.source == "c" else moved


class Batches(LightningDataModule):
    """These batches, in every split."""

    def __init__(self, batches, **spec):
        super().__init__()
        self.batches, self.plain = batches, spec

    def spec(self):
        return self.plain

    def val_dataloader(self):
        return DataLoader(self.batches, batch_size=None)

    test_dataloader = val_dataloader


def three_domains():
    """Images of three domains in batches of unequal size, and some that hold only two of them."""
    images = {letter: 0.2 * torch.rand(7, 1, 4, 4) - 0.5 for letter in LETTERS}
    truth = {"truth_a2c": images["a"] + 0.5, "truth_c2b": images["c"] - 0.25}
    labels = {f"label_{letter}": torch.arange(7) % 3 for letter in LETTERS}
    whole = {**images, **truth, **labels}
    batches = [{k: v[:5] for k, v in whole.items()}, {k: v[5:] for k, v in whole.items() if k[-1] != "b"}]
    spec = {"domains": ["dark", "grey", "bright"], "channels": [1, 1, 1], "image_size": 4}
    return whole, Batches(batches, **spec)


def test_three_domains_have_six_directions_and_three_cycles(trainer):
    _, data = three_domains()
    evaluation = Evaluation(pictures=0, cycle_noise=0)
    (metrics,) = trainer(callbacks=[evaluation]).test(Shift(), data, verbose=False)
    known = {f"{kind}_{way}" for kind in ("mse", "psnr") for way in ("a2c", "c2b")}
    assert set(metrics) == {f"test/{tag}" for tag in known} | {
        f"test/cycle_{kind}_{letter}" for kind in ("max", "mean") for letter in LETTERS
    }
    assert metrics["test/mse_a2c"] == pytest.approx(0, abs=1e-12)
    assert metrics["test/mse_c2b"] == pytest.approx(0.01, rel=1e-5)
    # a2b2a leads back and a2c2a does not; c2a2c and c2b2c both do not.
    assert metrics["test/cycle_max_a"] == pytest.approx(0.1, rel=1e-5)
    assert metrics["test/cycle_mean_a"] == pytest.approx(0.05, rel=1e-5)
    assert metrics["test/cycle_mean_c"] == pytest.approx(0.1, rel=1e-5)


def test_a_grid_shows_every_direction_of_three_domains():
    whole, data = three_domains()
    method = Shift()
    method.spec = DataSpec.from_plain(data.spec())
    grid = Evaluation(pictures=2).grid(method, whole)
    rows = 3 + 6 + 2  # inputs, translations, truths
    assert grid.shape == (3, rows * 51, 150 + 2 * 51)
    shown = grid[0, 2 * 51 + 6 : 2 * 51 + 48 : 12, 156 : 150 + 48 : 12].float()  # the second of a's translations
    torch.testing.assert_close(shown, ((whole["a"][0, 0] + 1.5) * 127.5).round(), atol=1, rtol=0)


class Shades(Method):
    """Tells three shades of images of three domains."""

    def __init__(self, channels_a: int):
        super().__init__(channels_a, channels_a, channels_a)
        self.save_hyperparameters()
        self.players = {}

    def generate(self, batch):
        return {}

    def classify(self, images, domain):
        self.check_channels(images, domain)
        mean = images.flatten(1).mean(1, keepdim=True)
        return -(mean - torch.tensor([0.09, 0.1, 0.11])).abs()


@pytest.fixture
def judge(tmp_path):
    serialization.write(Shades(1), tmp_path / "judge.ckpt")
    return str(tmp_path / "judge.ckpt"), Shades(1)


def test_any_domain_has_a_judge(judge, trainer):
    path, network = judge
    whole, data = three_domains()
    method = Shift()
    method.spec = DataSpec.from_plain(data.spec())
    (metrics,) = trainer(callbacks=[Evaluation(pictures=0, judges={"c": path})]).test(method, data, verbose=False)
    assert {tag for tag in metrics if "accuracy" in tag} == {"test/accuracy_a2c", "test/accuracy_b2c"}
    seen = network.classify((whole["a"] + 0.5).clamp(-1, 1), "c").argmax(1)
    expected = (seen == whole["label_a"]).float().mean().item()
    assert metrics["test/accuracy_a2c"] == pytest.approx(expected)


def test_judges_that_do_not_fit_are_refused(judge, trainer):
    path, _ = judge
    with pytest.raises(ValueError, match=r"judges has the key 'photo', expected the letter of a domain, such as c"):
        Evaluation(judges={"photo": path})
    with pytest.raises(ValueError, match=r"two judges of domain b: judge_b and judges\.\nGive one of them"):
        Evaluation(judge_b=path, judges={"b": path})
    run = trainer(callbacks=[Evaluation(judges={"d": path})])
    with pytest.raises(ValueError, match=r"judges.d judges domain d, but this data has the domains a \(dark\), b \("):
        run.validate(Shift(), three_domains()[1], verbose=False)


def test_what_is_no_method_is_refused(trainer):
    class Plain(LightningModule):
        def validation_step(self, batch):
            pass

    with pytest.raises(ValueError, match="measures methods of the zoo, but a Plain is none"):
        trainer(callbacks=[Evaluation()]).validate(Plain(), Digits(), verbose=False)


# --- likelihoods -----------------------------------------------------------------------------------------------


class Counts(Method):
    """A likelihood of domain a alone, of a kind that is given: how many nats the mean brightness is worth."""

    densities = ("a",)

    def __init__(self, likelihood):
        super().__init__(1)
        self.players = {}
        self.likelihood = likelihood
        self.asked = []

    def generate(self, batch):
        return {}

    def log_prob(self, images, domain):
        self.asked.append(images)
        return -10 * images.flatten(1).mean(1).exp()


@pytest.mark.parametrize("kind", ["density", "bound", "mass"])
def test_a_mass_is_of_stored_values_and_a_bound_is_measured_like_a_density(kind, trainer):
    images = torch.randint(0, 256, (7, 1, 4, 4)).float() / 127.5 - 1
    data = Batches([{"a": images[:5]}, {"a": images[5:]}], domains=["digits"], channels=[1])
    method = Counts(kind)
    (metrics,) = trainer(callbacks=[Evaluation(pictures=0)]).test(method, data, verbose=False)
    noise = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = images if kind == "mass" else dequantize(images, noise=noise)
    assert torch.equal(torch.cat(method.asked), expected)
    bits = 10 * expected.flatten(1).mean(1).exp() / (16 * math.log(2)) + (0 if kind == "mass" else 7)
    assert metrics == {"test/bits_per_dim_a": pytest.approx(bits.mean().item(), rel=1e-5)}


def test_a_uniform_mass_costs_eight_bits():
    """All of 256 values alike: the same that a uniform density on [-1, 1] costs."""
    mass, density = (Likelihood() for _ in range(2))
    for probe, kind, nats in ((mass, "mass", math.log(1 / 256)), (density, "density", math.log(1 / 2))):
        probe.begin(Counts(kind), torch.device("cpu"))
        probe.metric("bits_per_dim", "a").update(torch.full((5,), 12 * nats), 12)
        assert probe.compute()["bits_per_dim_a"].item() == pytest.approx(8)


# --- outputs ---------------------------------------------------------------------------------------------------


class Many(Method):
    """Noise beside the image."""

    directions, multimodal = BOTH, True

    def __init__(self):
        super().__init__(1, 1)
        self.players = {}
        self.calls = []

    def generate(self, batch):
        return {}

    def translate(self, images, direction, *, samples=1, **options):
        self.calls.append((direction, samples))
        return super().translate(images, direction, samples=samples, **options)

    def _translate(self, images, direction, guide, noise):
        return images + noise.normal(1, 4, 4)


def test_outputs_are_drawn_once_for_the_probe_that_looks_at_most():
    method, images = Many(), torch.zeros(3, 1, 4, 4)
    batch = MeasuredBatch(method, {"a": images, "label_a": 0}, {"a": [4, 5, 6]}, draws=lambda direction: 3)
    first = batch.output(BOTH[0])
    assert torch.equal(batch.outputs(BOTH[0], 3)[:, 0], first)
    assert torch.equal(first, method.translate(images, "a2b", seed=0, indices=[4, 5, 6]))
    assert method.calls == [("a2b", 3), ("a2b", 1)]
    assert batch.directions == ["a2b"]
    assert len(batch) == 2
    more = batch.outputs(BOTH[0], 5)  # nobody said so before
    assert torch.equal(more[:, :3], batch.outputs(BOTH[0], 3))
    assert method.calls[2:] == [("a2b", 5)]


# --- processes -------------------------------------------------------------------------------------------------


class Sizes(Probe):
    """How large values are, by the class of the image."""

    tags = (Tag("size_{name}_{domain}", "always", "mean"),)

    def applies(self, method, spec, batch):
        return True

    def update(self, batch):
        for domain in batch.domains:
            for label in batch[f"label_{domain}"].unique():
                chosen = batch[domain][batch[f"label_{domain}"] == label]
                self.metric(f"size_{label}", domain).update(chosen.flatten(1).mean(1))


def _measure_a_part(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    whole, data = three_domains_of(torch.load(f"{folder}/images.pt"))
    method = Shift()
    method.spec = DataSpec.from_plain(data.spec())
    evaluation = Evaluation(pictures=0, probes=[Sizes()])
    parts = [whole["a"][:4], whole["a"][4:]]
    batches = [
        {"a": parts[0], "label_a": torch.tensor([0, 1, 1, 0])},
        {"a": parts[1], "label_a": torch.tensor([2, 2, 0])},
    ]
    for probe in evaluation.probes:
        probe.begin(method, torch.device("cpu"))
        if rank == 0 or isinstance(probe, Sizes):  # the other one has no cycles
            measured = MeasuredBatch(method, batches[rank])
            if probe.applies(method, method.spec, measured):
                probe.update(measured)
    torch.save(evaluation._results(2), f"{folder}/rank{rank}.pt")
    torch.distributed.destroy_process_group()


def three_domains_of(images):
    return {"a": images}, Batches([], domains=["dark", "grey", "bright"], channels=[1, 1, 1])


def test_processes_that_saw_unlike_things_compute_the_same(tmp_path):
    images = torch.rand(7, 1, 4, 4)
    torch.save(images, tmp_path / "images.pt")
    torch.multiprocessing.spawn(_measure_a_part, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert list(first) == list(second) == sorted(first)
    means, labels = images.flatten(1).mean(1), torch.tensor([0, 1, 1, 0, 2, 2, 0])
    for label in range(3):
        expected = means[labels == label].mean().item()
        assert first[f"size_{label}_a"].item() == pytest.approx(expected, rel=1e-5)
        assert second[f"size_{label}_a"].item() == pytest.approx(expected, rel=1e-5)
    assert first["cycle_max_a"].item() == second["cycle_max_a"].item() == pytest.approx(0.1, rel=1e-5)
