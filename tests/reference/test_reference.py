"""Checkpoints of earlier versions give what they gave: a folder for each version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from reference import record
from torch import Tensor

import crossdomain
from crossdomain.evaluation import Evaluation

FOLDER = Path(__file__).parent
RECORDS = sorted(path for path in FOLDER.glob("v*/*.ckpt"))
SHIPPED = torch.load(FOLDER / "v1" / "shipped.pt", weights_only=True)


def check_equal(found: Any, expected: Any, what: str) -> None:
    """Equal to 1e-5 of the largest value: processors round differently."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), what
        for key, value in expected.items():
            check_equal(found[key], value, f"{what}.{key}")
        return
    assert isinstance(expected, Tensor), what
    assert found.shape == expected.shape, what
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale, msg=lambda text: f"{what}: {text}")


def ask(method: Any, answers: dict[str, dict[str, Any]], what: str) -> None:
    """Ask a method what it was asked when its file was written."""
    assert answers, what
    for name, asked in answers.items():
        found = getattr(method, asked["call"])(*asked["arguments"], **asked["options"])
        check_equal(found, asked["output"], f"{what}: {name}")


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_checkpoint_of_an_earlier_version_gives_what_it_gave(path):
    """One of each method and companion, with all that it can do."""
    ask(crossdomain.load(path), torch.load(path.with_suffix(".pt"), weights_only=True)["answers"], path.stem)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_checkpoint_of_the_zoo_gives_what_it_gave(name):
    """The shipped ones."""
    ask(crossdomain.load(name), SHIPPED[name], name)


def test_there_is_a_record_of_every_kind_that_version_0_1_had():
    """Every method, every companion, every shipped checkpoint; what came later has one from its own version on."""
    written = {torch.load(path, weights_only=True)["crossdomain"]["method"] for path in RECORDS}
    first = "AlignFlow BiCycleGAN CycleGAN DiscoGAN DistanceGAN FlowGAN LRMF MUNIT Pix2Pix RIFT RandomTranslation"
    companions = "DomainClassifier AttributePredictor DomainSegmenter SharedAutoencoder"
    assert written >= {*first.split(), *companions.split()}
    assert sum(path.parent.name == "v1" for path in RECORDS) == 26
    assert len(SHIPPED) == 8
    assert set(SHIPPED) <= set(crossdomain.list_models())


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_metrics_and_a_resumed_training_are_what_they_were(path, tmp_path, monkeypatch):
    """The same tags with the same values; and the next rounds go on as they did."""
    monkeypatch.chdir(FOLDER.parent.parent)  # checkpoints name their companions as they were recorded
    known = torch.load(path.with_suffix(".pt"), weights_only=True)
    folder, name, data = path.parent.relative_to(FOLDER.parent.parent), path.stem, record.DATA[known["data"]]
    measure = Evaluation(pictures=0, **record.scores(folder, name))
    (metrics,) = record.trainer(tmp_path, callbacks=[measure]).test(crossdomain.load(path), data(), verbose=False)
    found = {tag: metrics[tag] for tag in known["metrics"]}  # later probes may measure more
    assert found == pytest.approx(known["metrics"], rel=1e-4, abs=1e-5, nan_ok=True)
    _, make = record.cases(folder)[name]
    resumed = make()
    trainer = record.trainer(tmp_path, max_epochs=2, limit_train_batches=2, enable_checkpointing=False)
    trainer.fit(resumed, data(), ckpt_path=path)
    found = {term: float(value) for term, value in resumed.last_terms.items()}
    expected = {term: float(value) for term, value in known["terms"].items()}
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4, nan_ok=True)
