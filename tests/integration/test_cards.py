"""Cards and the README's tables say what the index and the checkpoints say, and nothing older."""

import pytest
import yaml

from crossdomain import hub
from crossdomain.checkpoints import cards

METHODS = {"Pix2Pix", "BiCycleGAN", "CycleGAN", "DistanceGAN", "AlignFlow", "FlowGAN", "LRMF", "RIFT", "UNIT",
           "DomainClassifier"}  # fmt: skip


@pytest.mark.parametrize("name", hub.list_models())
def test_card_is_fresh(name):
    assert (cards.FOLDER / f"{name}.md").read_text() == cards.card(name), "run `python checkpoints/cards.py`"
    for file in cards.pictures(name, hub.model_info(name)["sha256"]).values():
        assert file.read_bytes().startswith(b"\x89PNG"), "run `make checkpoints`"


def test_there_is_nothing_else_beside_the_cards():
    expected = {cards.FOLDER / f"{name}.md" for name in hub.list_models()}
    for name in hub.list_models():
        expected |= set(cards.pictures(name, hub.model_info(name)["sha256"]).values())
    assert set(cards.FOLDER.iterdir()) == expected


def test_readme_has_fresh_tables():
    readme = cards.README.read_text()
    assert cards.tables() in readme
    assert readme == cards.with_tables(readme)


def test_tables_say_what_knowing_nothing_scores():
    """Digits and Shapes as they were measured apart from the zoo; copies of the truth are in no table."""
    measured = yaml.safe_load(cards.RIVALS.read_text())
    assert set(measured) == set(cards.by_data())
    expected = {("Digits", "copy-input"): (0.351, 0.349), ("Digits", "mean-image"): (0.051, 0.234),
                ("Shapes", "copy-input"): (0.191, 0.191), ("Shapes", "copy-guide"): (0.093, 0.135)}  # fmt: skip
    for (data, rival), errors in expected.items():
        found = measured[data][rival]
        assert (found["mse_a2b"], found["mse_b2a"]) == pytest.approx(errors, abs=1e-3)
        assert f"| {rival} | {found['mse_a2b']:.4g} | {found['mse_b2a']:.4g} |" in cards.tables()
    assert "copy-guide" not in measured["ToyFacades"]


def test_a_changed_metric_makes_card_and_tables_stale(monkeypatch):
    name = "alignflow-digits"
    card, tables = cards.card(name), cards.tables()
    entry = hub.model_info(name)
    changed = {**hub._index(), name: {**entry, "metrics": {**entry["metrics"], "mse_a2b": 0.5}}}
    monkeypatch.setattr(hub, "_index", lambda: changed)
    assert cards.card(name) != card
    assert cards.tables() != tables


def test_these_methods_and_companions_have_a_checkpoint():
    assert {hub.model_info(name)["method"] for name in hub.list_models()} == METHODS


def test_the_zoo_is_small():
    sizes = [hub.find_checkpoint(name).stat().st_size for name in hub.list_models()]
    assert max(sizes) < 15e6
    assert sum(sizes) < 40e6
