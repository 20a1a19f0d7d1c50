"""Pictures of docs/images are made of today's zoo, or stand beside the figures of an experiment."""

import re

import pytest
from PIL import Image

from crossdomain import hub
from crossdomain.checkpoints import cards, images

ROOT = images.FOLDER.parents[1]


@pytest.mark.parametrize("name", images.PICTURES)
def test_picture_is_fresh(name):
    assert images.made_of(images.FOLDER / f"{name}.png") == images.sources(name), "run `make images`"


def test_every_picture_is_made_or_of_an_experiment():
    names = {path.stem for path in images.FOLDER.iterdir()}
    assert names == {*images.PICTURES, *images.EXPERIMENTS}
    for name, source in images.EXPERIMENTS.items():
        assert (ROOT / source).is_file()
        assert images.made_of(images.FOLDER / f"{name}.png") is None


def test_docs_show_every_picture_and_no_other():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        match for page in pages for match in re.findall(r"\]\((?:docs/)?images/(\w[\w-]*)\.png\)", page.read_text())
    }
    assert shown == {*images.PICTURES, *images.EXPERIMENTS}


def test_other_weights_or_figures_make_pictures_stale(monkeypatch):
    index = hub._index()
    before = {name: images.sources(name) for name in images.PICTURES}
    entry = index["alignflow-digits"]
    retrained = {**index, "alignflow-digits": {**entry, "sha256": "0" * 64}}
    monkeypatch.setattr(hub, "_index", lambda: retrained)
    assert all(images.sources(name) != before[name] for name in images.PICTURES)
    measured = {**index, "cyclegan-digits": {**index["cyclegan-digits"], "metrics": {"mse_a2b": 0.5}}}
    monkeypatch.setattr(hub, "_index", lambda: measured)
    stale = {name for name in images.PICTURES if images.sources(name) != before[name]}
    assert stale == {f"tensorboard-{tab}" for tab in images.TABS}
    elsewhere = {**index, "lrmf-moons": {**index["lrmf-moons"], "sha256": "0" * 64}}
    monkeypatch.setattr(hub, "_index", lambda: elsewhere)
    assert all(images.sources(name) == before[name] for name in images.PICTURES)


def test_picture_of_the_readme_is_what_the_checkpoint_draws(tmp_path, monkeypatch):
    """It equals the card's, which was drawn when the checkpoint was trained, but for another processor's rounding."""
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    images._draw_grid("alignflow-digits")
    made = tmp_path / "alignflow-digits.png"
    assert images.made_of(made) == images.sources("alignflow-digits")
    card = cards.pictures("alignflow-digits", hub.model_info("alignflow-digits")["sha256"])["grid"]
    with Image.open(made) as one, Image.open(card) as other:
        assert one.size == other.size
        pairs = zip(one.convert("L").tobytes(), other.convert("L").tobytes(), strict=True)
        assert sum(abs(a - b) > 8 for a, b in pairs) < 0.01 * one.width * one.height
